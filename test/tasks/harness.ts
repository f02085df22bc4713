/** Real servers on loopback, and a task context that goes there. */
import { createServer, type Socket } from "node:net";
import type { LogLevel, TaskContext } from "../../src/domain/definition.ts";
import { type GuardOptions, guardedFetch } from "../../src/tasks/net/guarded-fetch.ts";

export type Handler = (request: Request, path: string) => Response | Promise<Response>;

export interface Site extends AsyncDisposable {
  readonly origin: string;
  /** The paths asked for, in order of arrival. */
  readonly requests: string[];
}

/** A site on a free port; what the handler does not know is a 404. Without a handler for it robots.txt is one, too. */
export function site(handler: Handler | Record<string, string | Handler>): Site {
  const requests: string[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 0,
    fetch(request) {
      const { pathname, search } = new URL(request.url);
      const path = pathname + search;
      requests.push(path);
      if (typeof handler === "function") return handler(request, path);
      const found = handler[path];
      if (found === undefined) return new Response("no such page", { status: 404 });
      return typeof found === "string" ? html(found) : found(request, path);
    },
  });
  return { origin: `http://127.0.0.1:${server.port}`, requests, [Symbol.asyncDispose]: () => server.stop(true) };
}

export function html(body: string | Uint8Array, headers: Record<string, string> = {}): Response {
  return new Response(body as Uint8Array<ArrayBuffer>, { headers: { "content-type": "text/html; charset=utf-8", ...headers } });
}

export function redirect(location: string, status = 302): Response {
  return new Response(null, { status, headers: { location } });
}

export interface RawServer extends AsyncDisposable {
  readonly port: number;
  readonly origin: string;
  /** Connections so far. */
  connections: number;
  /** Settles when the first connection closes. */
  readonly closed: Promise<void>;
}

/** A server that speaks bytes: `onRequest` gets each piece that a client sends. */
export async function rawServer(
  onRequest: (socket: Socket, sent: string) => void,
  host = "127.0.0.1",
  port = 0,
): Promise<RawServer> {
  const sockets = new Set<Socket>();
  const closed = Promise.withResolvers<void>();
  const listening = Promise.withResolvers<void>();
  const server = createServer((socket) => {
    raw.connections++;
    sockets.add(socket);
    socket.on("close", () => closed.resolve());
    socket.on("error", () => {});
    socket.on("data", (data) => onRequest(socket, data.toString("latin1")));
  });
  server.once("error", listening.reject);
  server.listen(port, host, listening.resolve);
  await listening.promise;
  const bound = server.address();
  if (bound === null || typeof bound === "string") throw new Error("no port");
  const raw = {
    port: bound.port,
    origin: `http://${host}:${bound.port}`,
    connections: 0,
    closed: closed.promise,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
  return raw;
}

export interface TestContext extends TaskContext {
  readonly shares: number[];
  readonly messages: string[];
  readonly lines: string[];
  readonly sleeps: number[];
  readonly retries: number[];
}

/** Thrown by the context's `retryIn`. */
export class Retry extends Error {}

/** A context that may reach loopback; `sleep` notes the wait and goes on at once. */
export function context(options: { signal?: AbortSignal; attempt?: number; guard?: GuardOptions } = {}): TestContext {
  const signal = options.signal ?? new AbortController().signal;
  const lines: string[] = [];
  const shares: number[] = [];
  const messages: string[] = [];
  const sleeps: number[] = [];
  const retries: number[] = [];
  const log =
    (level: LogLevel) =>
    (...parts: unknown[]) =>
      void lines.push(`${level} ${parts.join(" ")}`);
  return {
    task_id: "task",
    owner_id: "owner",
    attempt: options.attempt ?? 1,
    signal,
    idempotencyKey: "task",
    shares,
    messages,
    lines,
    sleeps,
    retries,
    progress(first: number, second?: number | string, third?: string) {
      shares.push(typeof second === "number" ? first / second : first);
      messages.push((typeof second === "string" ? second : third) ?? "");
    },
    log: { debug: log("debug"), info: log("info"), warn: log("warn"), error: log("error") },
    async sleep(ms) {
      signal.throwIfAborted();
      sleeps.push(ms);
    },
    retryIn(ms, reason) {
      retries.push(ms);
      throw new Retry(reason);
    },
    fetch: (url, init) => guardedFetch(url, init, { allowPrivate: true, signal, ...options.guard }),
  };
}

/** The error that a promise rejects with. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("it did not reject");
}
