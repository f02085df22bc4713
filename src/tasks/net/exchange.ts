/** One HTTP request to an address that was checked, up to the answer's headers. */
import http, { type ClientRequest, type IncomingMessage } from "node:http";
import https from "node:https";
import type { LookupFunction } from "node:net";
import { type Address, type AllowPrivate, bareHost, checkedAddresses, type Resolve } from "./addresses.ts";
import { FetchError } from "./fetch-error.ts";
import type { Stopper } from "./stopper.ts";

export interface Outgoing {
  readonly url: URL;
  readonly method: string;
  readonly headers: Headers;
  readonly body: Uint8Array | null;
}

export interface ExchangeLimits {
  readonly allowPrivate: AllowPrivate;
  /** Resolving, connecting and TLS together, in milliseconds. */
  readonly connectMs: number;
  /** The wait for headers, and for each piece of the body, in milliseconds. */
  readonly idleMs: number;
  readonly maxHeaderBytes: number;
  /** Root certificates (PEM) trusted instead of the usual ones. */
  readonly ca: string | undefined;
  readonly resolve: Resolve;
}

/** Set by the client itself; a caller's own could name another host than the checked one, or smuggle a second request. */
const OWN_HEADERS = [
  "host",
  "connection",
  "keep-alive",
  "content-length",
  "transfer-encoding",
  "upgrade",
  "expect",
  "te",
  "trailer",
];

/**
 * Connections are pooled: a pooled one leads to an address that was checked when it was opened. Requests that may go
 * anywhere have a pool of their own, so that none of its connections is ever handed to others; those with a rule of
 * their own have none.
 */
const pools = { open: newPool(), guarded: newPool() };

function newPool(): { http: http.Agent; https: https.Agent } {
  // Idle connections are dropped before common servers (5 s) drop them; as many sockets a host as browsers use.
  const options = { keepAlive: true, timeout: 4_000, maxSockets: 6, maxFreeSockets: 32 } as const;
  return { http: new http.Agent(options), https: new https.Agent(options) };
}

/**
 * Sends the request and waits for the headers of the answer.
 *
 * @throws FetchError; or the signal's reason when it aborts
 */
export async function exchange(outgoing: Outgoing, limits: ExchangeLimits, stop: Stopper): Promise<IncomingMessage> {
  stop.within(limits.connectMs, `connecting to ${outgoing.url.host}`);
  const addresses = await stop.race(checkedAddresses(outgoing.url.hostname, limits.allowPrivate, limits.resolve));
  try {
    try {
      return await attempt(outgoing, addresses, limits, stop, true);
    } catch (error) {
      if (!(error instanceof StaleConnection)) throw error;
      // The server had closed the pooled connection just then; a request without effects is simply sent anew.
      return await attempt(outgoing, addresses, limits, stop, false);
    }
  } catch (error) {
    stop.signal.throwIfAborted();
    throw explained(error, outgoing.url);
  }
}

class StaleConnection extends Error {}

async function attempt(
  outgoing: Outgoing,
  addresses: readonly Address[],
  limits: ExchangeLimits,
  stop: Stopper,
  pooled: boolean,
): Promise<IncomingMessage> {
  stop.signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const request = open(outgoing, addresses, limits, pooled);
  const onAbort = (): void => {
    request.destroy(stop.signal.reason instanceof Error ? stop.signal.reason : new Error("aborted"));
  };
  stop.signal.addEventListener("abort", onAbort, { once: true });
  request.on("socket", (socket) => {
    const onConnected = () => stop.within(limits.idleMs, `waiting for ${outgoing.url.host}`);
    if (socket.connecting) socket.once(outgoing.url.protocol === "https:" ? "secureConnect" : "connect", onConnected);
    else onConnected();
  });
  request.on("error", (error) => {
    stop.signal.removeEventListener("abort", onAbort);
    const repeatable = outgoing.method === "GET" || outgoing.method === "HEAD";
    reject(pooled && request.reusedSocket && repeatable && !stop.signal.aborted ? new StaleConnection() : error);
  });
  request.on("response", (message) => {
    stop.idle();
    // From here on an abort or a broken connection reaches whoever reads the body; an answer that nobody reads must not throw.
    message.on("error", () => {});
    message.once("close", () => stop.signal.removeEventListener("abort", onAbort));
    resolve(message);
  });
  request.end(outgoing.body ?? undefined);
  return promise;
}

function open(outgoing: Outgoing, addresses: readonly Address[], limits: ExchangeLimits, pooled: boolean): ClientRequest {
  const { url, method } = outgoing;
  const secure = url.protocol === "https:";
  const headers = new Headers(outgoing.headers);
  for (const name of OWN_HEADERS) headers.delete(name);
  if (outgoing.body) headers.set("content-length", String(outgoing.body.byteLength));
  const options: https.RequestOptions = {
    // The name stays the host, so that TLS asks for it (SNI) and checks the certificate against it; `lookup` alone
    // decides where the connection goes, and it knows nothing but the checked addresses.
    host: bareHost(url.hostname),
    port: url.port === "" ? (secure ? 443 : 80) : Number(url.port),
    path: url.pathname + url.search,
    method,
    headers: Object.fromEntries(headers),
    lookup: only(addresses),
    maxHeaderSize: limits.maxHeaderBytes,
    agent: pooled ? poolFor(limits.allowPrivate, secure) : false,
  };
  if (limits.ca !== undefined) options.ca = limits.ca;
  return secure ? https.request(options) : http.request(options);
}

function poolFor(allowPrivate: AllowPrivate, secure: boolean): http.Agent | false {
  if (typeof allowPrivate === "function") return false;
  return pools[allowPrivate ? "open" : "guarded"][secure ? "https" : "http"];
}

function only(addresses: readonly Address[]): LookupFunction {
  return (_host, options, callback) => {
    const first = addresses[0] as Address;
    // A resolver never answers within the call, and callers count on that.
    setImmediate(() => (options.all ? callback(null, [...addresses]) : callback(null, first.address, first.family)));
  };
}

/** An error fit to show for whatever node's client reports. */
export function explained(error: unknown, url: URL): FetchError {
  if (error instanceof FetchError) return error;
  const code = error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
  const { host } = url;
  const options = { cause: error };
  if (code === "HPE_HEADER_OVERFLOW") return new FetchError("too_large", `${host} sent too many headers`, options);
  if (code.startsWith("HPE_")) return new FetchError("bad_response", `what ${host} sent is no proper HTTP`, options);
  if (code.startsWith("ERR_TLS_") || /CERT|SSL|SIGNATURE/.test(code)) {
    return new FetchError("network", `${host} has no valid certificate (${code})`, options);
  }
  if (code === "ECONNREFUSED") return new FetchError("network", `${host} refused the connection`, options);
  return new FetchError("network", `the connection to ${host} failed${code === "" ? "" : ` (${code})`}`, options);
}
