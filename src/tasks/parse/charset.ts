/** Which encoding a page is in, much as browsers decide it. */

/** The standard has browsers look at 1,024 bytes, but they go on for longer; so do pages with long scripts up front. */
const PRESCAN_BYTES = 8_192;

/** bun-types names a few labels only; Bun knows all of the Encoding standard but "replacement" and its aliases. */
type Label = "utf-8";

export interface DecodedText {
  readonly text: string;
  /** The WHATWG name of the encoding, in lower case. */
  readonly charset: string;
}

/**
 * Decodes a page by its byte order mark, else by the Content-Type header, else by a declaration near its start,
 * else as UTF-8 if it is that, else as windows-1252. Never throws: what is malformed becomes U+FFFD.
 */
export function decodeText(bytes: Uint8Array, contentType: string | null): DecodedText {
  const declared = byMark(bytes) ?? known(charsetParameter(contentType)) ?? byZeroBytes(bytes) ?? byPrescan(bytes);
  if (declared !== null) return { text: new TextDecoder(declared as Label).decode(bytes), charset: declared };
  try {
    return { text: new TextDecoder("utf-8", { fatal: true }).decode(bytes), charset: "utf-8" };
  } catch {
    return { text: new TextDecoder("windows-1252").decode(bytes), charset: "windows-1252" };
  }
}

function byMark(bytes: Uint8Array): string | null {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) return "utf-8";
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return "utf-16le";
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return "utf-16be";
  return null;
}

function charsetParameter(contentType: string | null): string | null {
  return /;\s*charset\s*=\s*["']?\s*([^\s"';,]+)/i.exec(contentType ?? "")?.[1] ?? null;
}

/** UTF-16 without a mark: markup starts with "<", whose other byte is zero. */
function byZeroBytes(bytes: Uint8Array): string | null {
  if (bytes[0] === 0x3c && bytes[1] === 0 && bytes[3] === 0) return "utf-16le";
  if (bytes[0] === 0 && bytes[1] === 0x3c && bytes[2] === 0) return "utf-16be";
  return null;
}

const META_OR_COMMENT = /<!--[\s\S]*?-->|<meta\b(?:"[^"]*"|'[^']*'|[^>"'])*>/gi;
const CONTENT_VALUE = /\bcontent\s*=\s*("[^"]*"|'[^']*'|[^\s>]*)/i;

function byPrescan(bytes: Uint8Array): string | null {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.byteLength, PRESCAN_BYTES)).toString("latin1");
  const xml = /^\s*<\?xml\s[^>]*?encoding\s*=\s*["']([^"']+)["']/.exec(head)?.[1];
  if (xml !== undefined) {
    const charset = known(xml);
    if (charset !== null) return asDeclared(charset);
  }
  for (const [tag] of head.matchAll(META_OR_COMMENT)) {
    if (tag.startsWith("<!--")) continue;
    const charset = known(metaCharset(tag));
    if (charset !== null) return asDeclared(charset);
  }
  return null;
}

function metaCharset(tag: string): string | null {
  const content = CONTENT_VALUE.exec(tag)?.[1] ?? "";
  // Without its content attribute the tag cannot show a charset that is only part of, say, a description.
  const attribute = /[\s"'/]charset\s*=\s*["']?\s*([^\s"'/>;]+)/i.exec(tag.replace(CONTENT_VALUE, " "))?.[1];
  if (attribute !== undefined) return attribute;
  if (!/http-equiv\s*=\s*["']?\s*content-type/i.test(tag)) return null;
  return /charset\s*=\s*["']?\s*([^\s"';]+)/i.exec(content)?.[1] ?? null;
}

/** A declaration that could be read byte by byte is not in UTF-16, whatever it says (WHATWG HTML, prescan). */
function asDeclared(charset: string): string {
  return charset.startsWith("utf-16") ? "utf-8" : charset;
}

/** The encoding's name for any of its labels; null for an unknown one, which then counts as not given. */
function known(label: string | null): string | null {
  if (label === null) return null;
  try {
    return new TextDecoder(label as Label).encoding;
  } catch {
    return null;
  }
}
