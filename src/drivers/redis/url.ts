import { readFileSync } from "node:fs";
import { Cluster, Redis, type RedisOptions } from "ioredis";
import type { Client } from "./scripts.ts";

/** The address of a Redis is not to be understood. Its message is for users. */
export class RedisUrlError extends Error {
  override readonly name = "RedisUrlError";
}

/** Makes connections to one Redis: a server, a master behind Sentinel, or a cluster. */
export interface Connector {
  /** The address without its password. */
  readonly label: string;
  /** A new connection, which connects by itself, and again whenever it is lost. */
  connect(name: string, options?: ConnectionOptions): Client;
}

export interface ConnectionOptions {
  /** Without an answer for this long, with one outstanding, the connection is given up for a new one, in milliseconds. */
  readonly silenceMs?: number;
}

/** Longest wait for a connection, in milliseconds. */
const CONNECT_MS = 3_000;
const SILENCE_MS = 5_000;
/** Waits between tries to connect: the first, and the longest, in milliseconds. */
const FIRST_RETRY_MS = 50;
const LAST_RETRY_MS = 500;
const DEFAULT_PORT = 6379;
const SENTINEL_PORT = 26_379;

const FORMS =
  "redis://HOST:PORT/DB, rediss:// with TLS, unix:///PATH, redis+sentinel://HOST:PORT,HOST:PORT/NAME or redis+cluster://HOST:PORT,HOST:PORT";
const SCHEME = /^(redis|rediss)(?:\+(sentinel|cluster|unix))?:\/\/|^unix:\/\//;

interface Parts {
  readonly kind: "server" | "sentinel" | "cluster" | "unix";
  readonly tls: boolean;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly hosts: readonly { host: string; port: number }[];
  /** Without the slash at its beginning. */
  readonly path: string;
  readonly query: URLSearchParams;
}

/**
 * Reads a Redis URL.
 *
 * @throws RedisUrlError
 */
export function connector(url: string): Connector {
  const parts = read(url.startsWith("/") ? `unix://${url}` : url);
  const options = optionsOf(parts);
  return {
    label: labelOf(parts),
    connect: (name, { silenceMs = SILENCE_MS } = {}) =>
      parts.kind === "cluster"
        ? clusterOf(parts, { ...options, connectionName: name, socketTimeout: silenceMs })
        : new Redis({ ...options, replyMapping: "legacy", connectionName: name, socketTimeout: silenceMs }),
  };
}

function read(url: string): Parts {
  const [scheme, security, mode] = SCHEME.exec(url) ?? [];
  if (scheme === undefined) throw new RedisUrlError(`"${withoutPassword(url)}" is no Redis URL: ${FORMS}`);
  const kind = scheme === "unix://" ? "unix" : ((mode ?? "server") as Parts["kind"]);
  const [place = "", query = ""] = url.slice(scheme.length).split("?");
  const slash = place.includes("/") ? place.indexOf("/") : place.length;
  const authority = place.slice(0, slash);
  const at = authority.lastIndexOf("@");
  const [username, ...rest] = at < 0 ? [] : authority.slice(0, at).split(":");
  const hosts = authority.slice(at + 1);
  const defaultPort = kind === "sentinel" ? SENTINEL_PORT : DEFAULT_PORT;
  return {
    kind,
    tls: security === "rediss",
    username: username ? decodeURIComponent(username) : undefined,
    password: rest.length > 0 ? decodeURIComponent(rest.join(":")) : undefined,
    hosts: kind === "unix" ? [] : hosts.split(",").map((host) => hostOf(host, defaultPort, url)),
    path: kind === "unix" ? place.slice(slash) : place.slice(slash + 1),
    query: new URLSearchParams(query),
  };
}

function hostOf(text: string, defaultPort: number, url: string): { host: string; port: number } {
  const [, v6, name, port] = /^(?:\[([0-9a-f:.]+)\]|([^:[\]\s]+))(?::(\d{1,5}))?$/i.exec(text) ?? [];
  const host = v6 ?? name;
  const number = port === undefined ? defaultPort : Number(port);
  if (host === undefined || number > 65_535)
    throw new RedisUrlError(`"${withoutPassword(url)}" names no host and port: ${FORMS}`);
  return { host, port: number };
}

function optionsOf(parts: Parts): RedisOptions {
  const { kind, path, query } = parts;
  const [name, database] = kind === "sentinel" ? path.split("/") : [undefined, kind === "unix" ? (query.get("db") ?? "") : path];
  const options: RedisOptions = {
    ...(parts.username === undefined ? {} : { username: parts.username }),
    ...(parts.password === undefined ? {} : { password: parts.password }),
    ...(parts.tls ? { tls: tlsOf(query) } : {}),
    db: databaseOf(database ?? ""),
    connectTimeout: CONNECT_MS,
    // Whoever sends a command knows what to do when it cannot be sent: nothing is kept for later here, nothing sent twice.
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    retryStrategy,
    // A master that has become a replica: its connections lead to the wrong server.
    reconnectOnError: (error) => error.message.startsWith("READONLY"),
  };
  if (kind === "server") return { ...options, ...parts.hosts[0] };
  if (kind === "unix") return { ...options, path };
  if (kind === "cluster") return options;
  if (!name) throw new RedisUrlError("a Sentinel URL ends in the master's name: redis+sentinel://HOST:PORT,HOST:PORT/NAME");
  const sentinelPassword = query.get("sentinel_password");
  return {
    ...options,
    name,
    sentinels: [...parts.hosts],
    sentinelRetryStrategy: retryStrategy,
    ...(sentinelPassword === null ? {} : { sentinelPassword }),
    ...(parts.tls ? { enableTLSForSentinelMode: true, sentinelTLS: tlsOf(query) } : {}),
  };
}

function clusterOf(parts: Parts, { db: _, retryStrategy: __, ...redisOptions }: RedisOptions): Cluster {
  const options = {
    redisOptions: { ...redisOptions, replyMapping: "legacy" as const },
    enableOfflineQueue: false,
    clusterRetryStrategy: retryStrategy,
    // What cannot be sent now is its sender's affair, as with a single server.
    maxRedirections: 3,
    slotsRefreshTimeout: CONNECT_MS,
  };
  return new Cluster([...parts.hosts], options);
}

const retryStrategy = (tries: number): number => Math.min(FIRST_RETRY_MS * 2 ** Math.min(tries - 1, 10), LAST_RETRY_MS);

function tlsOf(query: URLSearchParams): { ca?: string } {
  const file = query.get("ca");
  if (file === null) return {};
  try {
    return { ca: readFileSync(file, "utf8") };
  } catch (error) {
    throw new RedisUrlError(`cannot read the certificate authority: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function databaseOf(text: string): number {
  if (!/^\d{0,5}$/.test(text)) throw new RedisUrlError(`"${text}" is no number of a Redis database`);
  return Number(text);
}

function labelOf({ kind, tls, hosts, path }: Parts): string {
  if (kind === "unix") return `unix://${path}`;
  const mode = kind === "server" ? "" : `+${kind}`;
  const shown = hosts.map(({ host, port }) => `${host.includes(":") ? `[${host}]` : host}:${port}`).join(",");
  return `redis${tls ? "s" : ""}${mode}://${shown}${path === "" ? "" : `/${path}`}`;
}

const withoutPassword = (url: string): string => url.replace(/\/\/[^/@]*@/, "//…@");
