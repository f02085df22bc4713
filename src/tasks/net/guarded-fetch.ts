/**
 * HTTP for tasks whose URLs come from users: every host is resolved and checked, the connection goes to the checked
 * address, redirects are followed by hand, and size and time have limits.
 */
import type { IncomingMessage } from "node:http";
import { type AllowPrivate, type Resolve, systemResolve } from "./addresses.ts";
import { ACCEPT_ENCODING, bodyStream, codingsOf } from "./body.ts";
import { type ExchangeLimits, exchange, type Outgoing } from "./exchange.ts";
import { FetchError } from "./fetch-error.ts";
import { checkedUrl, MAX_REDIRECTS, redirected, redirectTarget } from "./redirects.ts";
import { Stopper } from "./stopper.ts";

/** Who the requests say they are; robots.txt rules are looked up under the same name. */
export const USER_AGENT = "Artel";

/** How far a guarded fetch may go. */
export interface GuardOptions {
  /** Allows private, loopback and link-local addresses: all, or those that the function is true for. Default false. */
  readonly allowPrivate?: AllowPrivate;
  /** Aborts the request, its body included; a signal in `init` counts as well. */
  readonly signal?: AbortSignal | undefined;
  /** Resolving, connecting and TLS, per hop. Default 10,000 ms. */
  readonly connectMs?: number;
  /** The wait for headers, and for each piece of the body. Default 30,000 ms. */
  readonly idleMs?: number;
  /** From the start to the body's last byte. Default 600,000 ms. */
  readonly totalMs?: number;
  /** Of the decompressed body. Default 256 MiB. */
  readonly maxBodyBytes?: number;
  /** Of an answer's headers. Default 64 KiB. */
  readonly maxHeaderBytes?: number;
  /** Default 10. */
  readonly maxRedirects?: number;
  /** Root certificates (PEM) trusted instead of the usual ones. */
  readonly ca?: string;
  /** Default: the system's resolver. */
  readonly resolve?: Resolve;
}

/** What to send. */
export interface GuardedRequest {
  /** Default GET. */
  readonly method?: string;
  readonly headers?: Headers | Record<string, string>;
  readonly body?: Uint8Array | null;
  /** As in fetch: "manual" hands a 3xx answer to the caller. Default "follow". */
  readonly redirect?: "follow" | "manual" | "error";
}

/** An answer whose headers have come. */
export interface GuardedResponse {
  /** After redirects. */
  readonly url: URL;
  readonly redirected: boolean;
  readonly status: number;
  readonly statusText: string;
  /** Without content-encoding and content-length when the body was decompressed: they would not describe it. */
  readonly headers: Headers;
  /** Decompressed; null where HTTP allows no body. Read it to the end or cancel it, else it holds its connection until `totalMs`. */
  readonly body: ReadableStream<Uint8Array> | null;
  /** From the start to the last hop's headers, in milliseconds. */
  readonly elapsedMs: number;
}

/**
 * Requests `url` and follows redirects, checking the address at every hop.
 *
 * @throws FetchError; or the signal's reason when it aborts
 */
export async function guardedRequest(
  url: string | URL,
  request: GuardedRequest = {},
  options: GuardOptions = {},
): Promise<GuardedResponse> {
  const startedAt = performance.now();
  let outgoing = firstOutgoing(url, request);
  const limits = withDefaults(options);
  const stop = new Stopper(options.signal, options.totalMs ?? 600_000);
  try {
    for (let hops = 0; ; hops++) {
      const message = await exchange(outgoing, limits, stop);
      const status = message.statusCode ?? 0;
      const headers = headersOf(message);
      const target = request.redirect === "manual" ? null : redirectTarget(status, headers.get("location"), outgoing.url);
      if (target === null) return answer(message, headers, outgoing, hops > 0, startedAt, limits, stop);
      message.destroy();
      if (request.redirect === "error")
        throw new FetchError("bad_response", `${outgoing.url.host} redirects, which the request forbids`);
      if (hops >= (options.maxRedirects ?? MAX_REDIRECTS))
        throw new FetchError("too_many_redirects", `more than ${hops} redirects`);
      outgoing = redirected(outgoing, status, target);
    }
  } catch (error) {
    stop.release();
    throw error;
  }
}

/**
 * `fetch` with the guard. A body given in `init` is held in memory, so that a redirect can send it again. The
 * answer's `url`, `status` and `redirected` are as fetch has them, but its `clone()` does not carry them.
 *
 * @throws FetchError; or the signal's reason when one aborts
 */
export async function guardedFetch(url: string | URL, init: RequestInit = {}, options: GuardOptions = {}): Promise<Response> {
  // Request does fetch's own work on method, headers and body; the URL is checked by itself, for its error says more.
  const { signal: ownSignal, redirect, ...rest } = init;
  const request = new Request(checkedUrl(url).href, rest);
  const body = request.body === null ? null : new Uint8Array(await request.arrayBuffer());
  const signals = [ownSignal, options.signal].filter((signal) => signal !== null && signal !== undefined);
  const answered = await guardedRequest(
    url,
    { method: request.method, headers: request.headers, body, redirect: redirect ?? "follow" },
    { ...options, signal: signals.length > 1 ? AbortSignal.any(signals) : signals[0] },
  );
  const { status, statusText, headers } = answered;
  // Some sites answer with numbers that Response refuses (999); fetch passes them on, so set it afterwards.
  const inRange = status >= 200 && status <= 599;
  const response = new Response(answered.body, { status: inRange ? status : 200, statusText, headers });
  if (!inRange) Object.defineProperties(response, { status: { value: status }, ok: { value: false } });
  return Object.defineProperties(response, { url: { value: answered.url.href }, redirected: { value: answered.redirected } });
}

type Limits = ExchangeLimits & { readonly maxBodyBytes: number };

function withDefaults(options: GuardOptions): Limits {
  return {
    allowPrivate: options.allowPrivate ?? false,
    connectMs: options.connectMs ?? 10_000,
    idleMs: options.idleMs ?? 30_000,
    maxBodyBytes: options.maxBodyBytes ?? 256 * 1024 * 1024,
    maxHeaderBytes: options.maxHeaderBytes ?? 64 * 1024,
    ca: options.ca,
    resolve: options.resolve ?? systemResolve,
  };
}

function firstOutgoing(url: string | URL, request: GuardedRequest): Outgoing {
  const headers = new Headers(request.headers);
  if (!headers.has("accept")) headers.set("accept", "*/*");
  if (!headers.has("user-agent")) headers.set("user-agent", USER_AGENT);
  headers.set("accept-encoding", ACCEPT_ENCODING);
  return { url: checkedUrl(url), method: request.method ?? "GET", headers, body: request.body ?? null };
}

function answer(
  message: IncomingMessage,
  headers: Headers,
  outgoing: Outgoing,
  wasRedirected: boolean,
  startedAt: number,
  limits: Limits,
  stop: Stopper,
): GuardedResponse {
  const { url, method } = outgoing;
  const status = message.statusCode ?? 0;
  const bodiless = method === "HEAD" || status === 204 || status === 205 || status === 304;
  const codings = codingsOf(headers.get("content-encoding"));
  const body = bodiless ? null : bodyStream(message, url, codings, limits, stop);
  if (bodiless) {
    message.resume();
    stop.release();
  } else if (codings.length > 0) {
    headers.delete("content-encoding");
    headers.delete("content-length");
  }
  return {
    url,
    redirected: wasRedirected,
    status,
    statusText: message.statusMessage ?? "",
    headers,
    body,
    elapsedMs: performance.now() - startedAt,
  };
}

function headersOf(message: IncomingMessage): Headers {
  const headers = new Headers();
  for (let at = 0; at + 1 < message.rawHeaders.length; at += 2) {
    try {
      headers.append(message.rawHeaders[at] as string, message.rawHeaders[at + 1] as string);
    } catch {
      // A name or value that Headers refuses is of no use to anyone.
    }
  }
  return headers;
}
