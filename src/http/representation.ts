/** Clients ask again each time, and mostly hear that nothing has changed. */
const REVALIDATE = "no-cache";

/** A whole body that stays the same: compressed once, known by an ETag. */
export class Representation {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #etag: string;
  #compressed: Promise<Uint8Array<ArrayBuffer>> | undefined;

  constructor(bytes: Uint8Array<ArrayBuffer>, contentType: string, headers: Readonly<Record<string, string>> = {}) {
    this.#bytes = bytes;
    // Weak: the compressed body is another sequence of bytes for the same thing.
    this.#etag = `W/"${new Bun.CryptoHasher("sha256").update(bytes).digest("base64url").slice(0, 22)}"`;
    this.#headers = {
      "content-type": contentType,
      etag: this.#etag,
      "cache-control": REVALIDATE,
      vary: "accept-encoding",
      "x-content-type-options": "nosniff",
      ...headers,
    };
  }

  /** 200 or, to who has it already, 304. */
  async respond(request: Request): Promise<Response> {
    if (mentions(request.headers.get("if-none-match"), this.#etag))
      return new Response(null, { status: 304, headers: this.#headers });
    if (!acceptsGzip(request.headers.get("accept-encoding"))) return new Response(this.#bytes, { headers: this.#headers });
    this.#compressed ??= compress(this.#bytes);
    return new Response(await this.#compressed, { headers: { ...this.#headers, "content-encoding": "gzip" } });
  }
}

async function compress(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const compressed = new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(compressed).arrayBuffer());
}

function mentions(condition: string | null, etag: string): boolean {
  return (condition ?? "").split(",").some((each) => each.trim() === etag || each.trim() === "*");
}

function acceptsGzip(accepted: string | null): boolean {
  return (accepted ?? "").split(",").some((coding) => /^\s*gzip\s*(;(?!\s*q=0(\.0*)?\s*$).*)?$/i.test(coding));
}
