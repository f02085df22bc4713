/**
 * Reads a body of at most `maxBytes` bytes; of a longer one the first `maxBytes`, and the rest is not downloaded.
 *
 * @throws whatever the stream fails with
 */
export async function readUpTo(
  body: ReadableStream<Uint8Array> | null,
  maxBytes: number,
): Promise<{ bytes: Uint8Array; truncated: boolean }> {
  const pieces: Uint8Array[] = [];
  const { read, truncated } = await drain(body, maxBytes, (piece) => pieces.push(piece));
  const bytes = Buffer.concat(pieces, read);
  return { bytes, truncated };
}

/** Counts a body's bytes without keeping them, up to `maxBytes`. */
export async function countUpTo(body: ReadableStream<Uint8Array> | null, maxBytes: number): Promise<number> {
  return (await drain(body, maxBytes, () => {})).read;
}

async function drain(
  body: ReadableStream<Uint8Array> | null,
  maxBytes: number,
  take: (piece: Uint8Array) => void,
): Promise<{ read: number; truncated: boolean }> {
  if (body === null) return { read: 0, truncated: false };
  let read = 0;
  // Leaving the loop early cancels the stream, and with it the download.
  for await (const piece of body) {
    const fits = piece.subarray(0, maxBytes - read);
    read += fits.byteLength;
    take(fits);
    if (fits.byteLength < piece.byteLength) return { read, truncated: true };
  }
  return { read, truncated: false };
}
