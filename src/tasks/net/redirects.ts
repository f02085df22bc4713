/** The rules of following a redirect, as the Fetch standard has them. */

import type { Outgoing } from "./exchange.ts";
import { FetchError } from "./fetch-error.ts";

/** As many as curl and browsers roughly allow before calling it a loop; browsers go to 20. */
export const MAX_REDIRECTS = 10;

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
/** What identifies the caller to one origin and is nobody else's business. */
const CREDENTIALS = ["authorization", "cookie", "proxy-authorization"];
const BODY_HEADERS = ["content-encoding", "content-language", "content-location", "content-type"];

/**
 * Checks a URL that is to be requested.
 *
 * @throws FetchError `bad_url` for any scheme but http and https, and for a user name or password in it
 */
export function checkedUrl(url: string | URL): URL {
  const parsed = URL.parse(String(url));
  if (parsed === null) throw new FetchError("bad_url", "this is no absolute URL");
  if (parsed.protocol !== "http:" && parsed.protocol !== "https:") {
    throw new FetchError("bad_url", `only http and https URLs can be fetched, not ${parsed.protocol.slice(0, 40)}`);
  }
  if (parsed.username !== "" || parsed.password !== "") {
    throw new FetchError("bad_url", "a URL with a user name or password in it is refused: send an Authorization header instead");
  }
  parsed.hash = "";
  return parsed;
}

/**
 * Where an answer redirects to: absolute, without fragment, user name and password; null when it does not.
 *
 * @throws FetchError `bad_url` when the target is no http(s) URL
 */
export function redirectTarget(status: number, location: string | null, base: string | URL): URL | null {
  if (!REDIRECTS.has(status) || location === null) return null;
  const target = URL.parse(asUtf8(location), String(base));
  if (target === null) throw new FetchError("bad_url", "the redirect leads to no valid URL");
  target.username = "";
  target.password = "";
  return checkedUrl(target);
}

/** The request that follows a redirect. */
export function redirected(before: Outgoing, status: number, url: URL): Outgoing {
  const headers = new Headers(before.headers);
  if (url.origin !== before.url.origin) for (const name of CREDENTIALS) headers.delete(name);
  const becomesGet = status === 303 ? before.method !== "HEAD" : status < 303 && before.method === "POST";
  if (!becomesGet) return { ...before, url, headers };
  for (const name of BODY_HEADERS) headers.delete(name);
  return { url, method: "GET", headers, body: null };
}

/** Header values arrive as Latin-1; servers that put a raw non-ASCII path there mean UTF-8. */
function asUtf8(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: ASCII is a range that starts with them
  if (/^[\x00-\x7f]*$/.test(text)) return text;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.from(text, "latin1"));
  } catch {
    return text;
  }
}
