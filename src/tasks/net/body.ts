/** A response's body: decompressed, bounded, and never waited for too long. */
import type { IncomingMessage } from "node:http";
import { pipeline, Readable, type Transform } from "node:stream";
import zlib from "node:zlib";
import { explained } from "./exchange.ts";
import { FetchError } from "./fetch-error.ts";
import type { Stopper } from "./stopper.ts";

type Bytes = AsyncIterable<Uint8Array>;

/** Servers stack one coding, rarely two; each costs memory and time. */
const MAX_CODINGS = 2;

/** What the client says it can decode. */
export const ACCEPT_ENCODING = "gzip, deflate, br, zstd";

export interface BodyLimits {
  /** Of the decompressed body, and of what comes over the wire. */
  readonly maxBodyBytes: number;
  /** Between two pieces, in milliseconds. */
  readonly idleMs: number;
}

/** The codings that must be undone, outermost first. */
export function codingsOf(contentEncoding: string | null): string[] {
  const named = (contentEncoding ?? "").toLowerCase().split(",");
  return named
    .map((name) => name.trim())
    .filter((name) => name !== "" && name !== "identity")
    .reverse();
}

/**
 * The body as a stream that pulls from the connection only as fast as it is read. It errors with FetchError
 * (`too_large`, `bad_response`, `network`, `timeout`) or the stopper's reason; `stop` is released when it ends.
 */
export function bodyStream(
  message: IncomingMessage,
  url: URL,
  codings: readonly string[],
  limits: BodyLimits,
  stop: Stopper,
): ReadableStream<Uint8Array> {
  const pieces = decoded(message, codings, limits.maxBodyBytes);
  const end = (): void => {
    stop.release();
    stop.signal.removeEventListener("abort", onAbort);
  };
  let controllerOf: ReadableStreamDefaultController<Uint8Array> | undefined;
  // The reader may be waiting in a decompressor that an error of the connection does not wake: fail the stream itself.
  const onAbort = (): void => {
    message.destroy();
    controllerOf?.error(stop.signal.reason);
  };
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        controllerOf = controller;
        if (stop.signal.aborted) onAbort();
        else stop.signal.addEventListener("abort", onAbort, { once: true });
      },
      async pull(controller) {
        stop.within(limits.idleMs, `waiting for more from ${url.host}`);
        try {
          const next = await stop.race(pieces.next());
          stop.idle();
          if (!next.done) return controller.enqueue(next.value);
          end();
          controller.close();
        } catch (error) {
          message.destroy();
          end();
          controller.error(stop.signal.aborted ? stop.signal.reason : readable(error, url));
        }
      },
      cancel() {
        message.destroy();
        end();
      },
    },
    { highWaterMark: 0 },
  );
}

async function* decoded(message: IncomingMessage, codings: readonly string[], maxBytes: number): AsyncGenerator<Uint8Array> {
  if (codings.length > MAX_CODINGS) throw new FetchError("bad_response", "the answer is encoded too many times over");
  let bytes: Bytes = capped(message, maxBytes);
  for (const coding of codings) bytes = capped(decompressed(bytes, coding), maxBytes);
  yield* bytes;
}

async function* capped(bytes: Bytes, maxBytes: number): AsyncGenerator<Uint8Array> {
  let seen = 0;
  for await (const piece of bytes) {
    seen += piece.byteLength;
    if (seen > maxBytes) throw new FetchError("too_large", `the answer is larger than ${maxBytes} bytes`);
    yield piece;
  }
}

async function* decompressed(bytes: Bytes, coding: string): AsyncGenerator<Uint8Array> {
  const iterator = bytes[Symbol.asyncIterator]();
  const first = await iterator.next();
  // An empty body is no valid gzip, but servers send one, for instance with a 404.
  if (first.done) return;
  const decoder = decoderFor(coding, first.value);
  const whole = async function* (): AsyncGenerator<Uint8Array> {
    yield first.value;
    yield* { [Symbol.asyncIterator]: () => iterator };
  };
  // An error on either side destroys the decoder, which is where it is seen.
  pipeline(Readable.from(whole()), decoder, () => {});
  yield* decoder as AsyncIterable<Uint8Array>;
}

function decoderFor(coding: string, head: Uint8Array): Transform {
  switch (coding) {
    case "gzip":
    case "x-gzip":
      return zlib.createGunzip();
    case "br":
      return zlib.createBrotliDecompress();
    case "zstd":
      return zlib.createZstdDecompress();
    case "deflate":
      // Meant to be zlib's format (method 8 in the low bits); some servers send it bare.
      return ((head[0] ?? 0) & 0x0f) === 8 ? zlib.createInflate() : zlib.createInflateRaw();
    default:
      throw new FetchError("bad_response", `the answer has the unknown encoding "${coding.slice(0, 40)}"`);
  }
}

function readable(error: unknown, url: URL): FetchError {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (/^(Z_|ERR__?ERROR_|ERR_BROTLI|ERR_ZSTD|ZSTD_|BROTLI_|ERR_BUFFER)/.test(code)) {
    return new FetchError("bad_response", `what ${url.host} sent cannot be decompressed`, { cause: error });
  }
  return explained(error, url);
}
