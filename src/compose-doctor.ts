import type { Database } from "bun:sqlite";
import { accessSync, constants, existsSync, statfsSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { openRedis, type RedisSettings, silent } from "./compose-workers.ts";
import { isHeld } from "./drivers/data-directory.ts";
import { fileLimit } from "./drivers/file-limit.ts";
import { serverInfo } from "./drivers/redis/server-info.ts";
import { givenSecret, hasSecret } from "./drivers/secret.ts";
import { asStartupError } from "./drivers/sqlite/database.ts";
import { damageOf, directoryOf, openAsItIs } from "./drivers/sqlite/inspect.ts";
import { migrationStatus } from "./drivers/sqlite/migrate.ts";
import { systemClock } from "./drivers/system.ts";

/** What was found in one place. */
export interface Finding {
  readonly check: string;
  readonly state: "ok" | "warning" | "problem";
  /** What is there, and what to do about it where something is wrong. */
  readonly detail: string;
}

export interface DoctorSettings {
  readonly dataDirectory: string;
  readonly redis: RedisSettings | undefined;
  readonly secret: string | undefined;
}

type Result = readonly [state: Finding["state"], detail: string];

const MIB = 1024 * 1024;
/** Below it the service soon has nowhere to write. */
const LEAST_FREE_MIB = 64;
/** Each connection is a file. */
const FEW_FILES = 4_096;
/** Between clocks, in milliseconds. */
const APART_MS = 2_000;

/** Looks at everything that a server needs, one after the other. Changes nothing. */
export async function examine({ dataDirectory, redis, secret }: DoctorSettings): Promise<Finding[]> {
  const directory = resolve(dataDirectory);
  const file = join(directory, "artel.db");
  const checks: [check: string, look: () => Result | Promise<Result>][] = [["data directory", () => directoryState(directory)]];
  if (existsSync(directory)) {
    checks.push(["free space", () => freeSpace(directory, file)], ["server", () => serverState(directory)]);
    checks.push(["secret", () => secretState(directory, secret)]);
  }
  if (existsSync(file)) {
    checks.push(["database", () => databaseState(file)], ["migrations", () => migrationState(file)]);
    checks.push(["clock", () => clockState(file)]);
  }
  if (redis) checks.push(["redis", () => redisState(redis, directoryOf(file))]);
  checks.push(["open files", fileLimitState]);
  const findings: Finding[] = [];
  for (const [check, look] of checks) {
    const [state, detail] = await attempt(look);
    findings.push({ check, state, detail });
  }
  return findings;
}

/** What cannot even be looked at is a problem. */
async function attempt(look: () => Result | Promise<Result>): Promise<Result> {
  try {
    return await look();
  } catch (error) {
    return ["problem", error instanceof Error ? error.message : String(error)];
  }
}

function directoryState(path: string): Result {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat) return ["warning", `${path} is not there: artel serve makes it at its first start`];
  if (!stat.isDirectory()) return ["problem", `${path} is no directory: move it away, or choose another --data`];
  accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
  const mode = (stat.mode & 0o777).toString(8);
  if ((stat.mode & 0o077) !== 0 && process.platform !== "win32")
    return ["warning", `${path} has mode ${mode}: others on this machine may look into it; chmod 700 ${path}`];
  return ["ok", `${path} (mode ${mode})`];
}

function freeSpace(directory: string, file: string): Result {
  const { bavail, bsize } = statfsSync(directory);
  const freeMib = Math.floor((bavail * bsize) / MIB);
  const databaseMib = Math.ceil((statSync(file, { throwIfNoEntry: false })?.size ?? 0) / MIB);
  if (freeMib < LEAST_FREE_MIB) return ["problem", `${freeMib} MiB: nothing can be stored soon; make room`];
  if (freeMib < databaseMib + LEAST_FREE_MIB)
    return ["warning", `${freeMib} MiB: an upgrade copies the database, which has ${databaseMib} MiB; make room`];
  return ["ok", `${freeMib} MiB, the database has ${databaseMib} MiB`];
}

const serverState = (directory: string): Result => ["ok", isHeld(directory) ? "one runs on this data directory" : "none runs"];

function secretState(directory: string, given: string | undefined): Result {
  if (givenSecret(given) !== undefined) return ["ok", "ARTEL_SECRET"];
  if (!hasSecret(directory)) return ["ok", "none yet: the first start makes one"];
  const { mode } = statSync(join(directory, "secret"));
  return (mode & 0o077) === 0 || process.platform === "win32"
    ? ["ok", "in the data directory"]
    : ["warning", `others on this machine may read it: chmod 600 ${join(directory, "secret")}`];
}

function databaseState(file: string): Result {
  return opened(file, (db) => {
    const damage = damageOf(db);
    if (damage !== undefined) return ["problem", `${file} is damaged (${damage}): stop the server and restore a backup`];
    return ["ok", `${file} is sound`];
  });
}

function migrationState(file: string): Result {
  return opened(file, (db) => {
    const pending = migrationStatus(db).flatMap(({ tag, applied }) => (applied ? [] : [tag]));
    if (pending.length === 0) return ["ok", "all are applied"];
    return ["warning", `pending: ${pending.join(", ")}; artel serve applies them at its start`];
  });
}

function opened(file: string, look: (db: Database) => Result): Result {
  try {
    using db = openAsItIs(file);
    return look(db);
  } catch (error) {
    throw asStartupError(file, error);
  }
}

/** A clock that went back shows in the times of what was written before. */
function clockState(file: string): Result {
  const now = systemClock.now();
  const written = [file, `${file}-wal`].map((path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0);
  const aheadMs = Math.max(...written) - now;
  if (aheadMs > APART_MS)
    return ["warning", `the database was written ${seconds(aheadMs)} from now: the clock has gone back; keep it by NTP`];
  return ["ok", new Date(now).toISOString()];
}

/** One that cannot be used at all is refused with the reason. */
async function redisState(settings: RedisSettings, directory: string | null | undefined): Promise<Result> {
  const broker = await openRedis(settings, silent);
  const { link } = broker;
  try {
    if (link.trouble !== undefined) return ["problem", `${link.connector.label}: ${link.trouble}`];
    const [text, time, owner] = await link.call((client) =>
      Promise.all([client.info(), client.time(), client.get(link.keys.owner)]),
    );
    const apartMs = Math.abs(Number(time[0]) * 1_000 + Number(time[1]) / 1_000 - systemClock.now());
    const { version, evicts } = serverInfo(text);
    if (owner !== null && directory !== undefined && owner !== directory)
      return ["problem", `the namespace ${settings.namespace} belongs to another data directory: choose another --namespace`];
    if (evicts !== undefined)
      return ["warning", `it throws data away when its memory is full (${evicts}): set maxmemory-policy to noeviction`];
    if (apartMs > APART_MS) return ["warning", `its clock is ${seconds(apartMs)} from this machine's: keep both by NTP`];
    return ["ok", `${link.connector.label}, version ${version}, namespace ${settings.namespace}`];
  } finally {
    await broker.stop();
  }
}

function fileLimitState(): Result {
  const limit = fileLimit();
  if (limit === undefined) return ["ok", "this system does not say how many there may be"];
  if (limit < FEW_FILES)
    return ["warning", `${limit} at most, and each connection is one: raise it by ulimit -n, or LimitNOFILE with systemd`];
  return ["ok", `${limit} at most`];
}

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;
