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
  /** The number of the database; 0 in a cluster, which has no other. */
  readonly database: number;
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
/** Longest wait for the word of a Sentinel, in milliseconds. */
const SENTINEL_MS = 1_000;
/** Waits between tries to connect: the first, and the longest, in milliseconds. */
const FIRST_RETRY_MS = 50;
const LAST_RETRY_MS = 500;
const DEFAULT_PORT = 6379;
const SENTINEL_PORT = 26_379;

const FORMS =
  "redis://HOST:PORT/DB, rediss:// with TLS, unix:///PATH, redis+sentinel://HOST:PORT,HOST:PORT/NAME or redis+cluster://HOST:PORT,HOST:PORT";
const SCHEME = /^(redis|rediss)(?:\+(sentinel|cluster))?:\/\/|^unix:\/\//;
/** A URL without any. */
const NOBODY = { username: undefined, password: undefined };

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
    database: options.db ?? 0,
    connect: (name, { silenceMs = SILENCE_MS } = {}) =>
      parts.kind === "cluster"
        ? clusterOf(parts, { ...options, connectionName: name, socketTimeout: silenceMs })
        : new Redis({ ...options, replyMapping: "legacy", connectionName: name, socketTimeout: silenceMs }),
  };
}

function read(url: string): Parts {
  const [scheme, security, mode] = SCHEME.exec(url) ?? [];
  if (scheme === undefined) throw new RedisUrlError(`${shown(url)} is no Redis URL: ${FORMS}`);
  const kind = scheme === "unix://" ? "unix" : ((mode ?? "server") as Parts["kind"]);
  const [place = "", query = ""] = url.slice(scheme.length).split("?");
  // A password may hold slashes, and a socket's path the sign that ends a password.
  const at = place.lastIndexOf("@", kind === "unix" ? place.indexOf("/") : place.length);
  const address = place.slice(at + 1);
  const slash = address.includes("/") ? address.indexOf("/") : address.length;
  const [hosts, path] = [address.slice(0, slash), address.slice(slash)];
  return {
    kind,
    tls: security === "rediss",
    ...(at < 0 ? NOBODY : userOf(place.slice(0, at))),
    hosts: kind === "unix" ? noHosts(hosts, path) : hostsOf(hosts, kind),
    path: kind === "unix" ? path : path.slice(1),
    query: new URLSearchParams(query),
  };
}

function userOf(text: string): Pick<Parts, "username" | "password"> {
  const [username = "", ...rest] = text.split(":");
  if (rest.length === 0) throw new RedisUrlError("a user has a password too: redis://USER:PASSWORD@HOST:PORT");
  try {
    return { username: decodeURIComponent(username) || undefined, password: decodeURIComponent(rest.join(":")) };
  } catch {
    throw new RedisUrlError("in the user's name and password of a Redis URL a percent sign is written %25");
  }
}

function hostsOf(text: string, kind: Parts["kind"]): Parts["hosts"] {
  const hosts = text.split(",").map((host) => hostOf(host, kind === "sentinel" ? SENTINEL_PORT : DEFAULT_PORT));
  if (kind === "server" && hosts.length > 1) throw new RedisUrlError(`several hosts are a cluster or Sentinels: ${FORMS}`);
  return hosts;
}

function hostOf(text: string, defaultPort: number): { host: string; port: number } {
  const [, v6, name, port] = /^(?:\[([0-9a-f:.]+)\]|([^:[\]\s]+))(?::(\d{1,5}))?$/i.exec(text) ?? [];
  const host = v6 ?? name;
  const number = port === undefined ? defaultPort : Number(port);
  if (host === undefined || number < 1 || number > 65_535)
    throw new RedisUrlError(`a Redis URL names a host and a port: ${FORMS}`);
  return { host, port: number };
}

function noHosts(host: string, path: string): Parts["hosts"] {
  if (host !== "" || path.length < 2) throw new RedisUrlError("a socket is named by its whole path: unix:///PATH");
  return [];
}

function optionsOf(parts: Parts): RedisOptions {
  const { kind, path, query } = parts;
  const options: RedisOptions = {
    ...(parts.username === undefined ? {} : { username: parts.username }),
    ...(parts.password === undefined ? {} : { password: parts.password }),
    ...(parts.tls ? { tls: tlsOf(query) } : {}),
    db: databaseOf(parts),
    connectTimeout: CONNECT_MS,
    // Whoever sends a command knows what to do when it cannot be sent: nothing is kept for later here, nothing sent twice.
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    // Where that fails nobody hears of it but the process, which ends.
    autoResubscribe: false,
    retryStrategy,
  };
  // Greeting it tells what is wrong with a server alone, and whether it is still loading.
  const alone = { ...options, enableReadyCheck: false };
  if (kind === "server") return { ...alone, ...parts.hosts[0] };
  if (kind === "unix") return { ...alone, path };
  // A master that has become a replica: its connections lead to the wrong server.
  const several = { ...options, reconnectOnError: (error: Error) => error.message.startsWith("READONLY") };
  if (kind === "cluster") return several;
  const [name] = path.split("/");
  if (!name) throw new RedisUrlError("a Sentinel URL ends in the master's name: redis+sentinel://HOST:PORT,HOST:PORT/NAME");
  const sentinelPassword = query.get("sentinel_password");
  return {
    ...several,
    name,
    sentinels: [...parts.hosts],
    sentinelRetryStrategy: retryStrategy,
    // One that takes connections and says nothing must not keep its clients from the others.
    sentinelCommandTimeout: SENTINEL_MS,
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

function databaseOf({ kind, path, query }: Parts): number {
  const text = { server: path, sentinel: path.split("/").slice(1).join("/"), cluster: path, unix: query.get("db") ?? "" }[kind];
  if (!/^\d{0,5}$/.test(text)) throw new RedisUrlError(`"${text}" is no number of a Redis database`);
  if (kind === "cluster" && Number(text) > 0) throw new RedisUrlError("a Redis cluster has no database but number 0");
  return Number(text);
}

function labelOf({ kind, tls, hosts, path }: Parts): string {
  if (kind === "unix") return `unix://${path}`;
  const mode = kind === "server" ? "" : `+${kind}`;
  const shown = hosts.map(({ host, port }) => `${host.includes(":") ? `[${host}]` : host}:${port}`).join(",");
  return `redis${tls ? "s" : ""}${mode}://${shown}${path === "" ? "" : `/${path}`}`;
}

/** What is not understood may hold a password anywhere behind its beginning. */
const shown = (url: string): string => `"${/[@?]/.test(url) ? `${/^[a-z+]+:\/\//.exec(url)?.[0] ?? ""}…` : url}"`;
