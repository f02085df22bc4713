/**
 * The composition of worker processes: what `serve` has beside its API, and all that `work` is.
 */
import { hostname } from "node:os";
import { StartupError } from "./domain/errors.ts";
import type { RedisBrokerParts } from "./drivers/redis/broker.ts";
import { systemClock, systemRandom } from "./drivers/system.ts";
import type { Check } from "./http/health.ts";
import type { Broker } from "./ports/broker.ts";
import type { Log } from "./ports/runtime.ts";
import { builtinPolicies } from "./tasks/builtin.ts";
import { processes, threads } from "./workers/hands.ts";
import type { Source } from "./workers/messages.ts";
import { SchemaThreads } from "./workers/schema-threads.ts";
import { Supervisor } from "./workers/supervisor.ts";
import { type LoadedFiles, listTaskFiles, loadTaskFiles } from "./workers/task-files.ts";
import { TaskFolder } from "./workers/task-folder.ts";

/** Files that a Worker starts; scripts/build.ts puts them into the executable. */
const THREAD_ENTRY = new URL("./workers/thread.ts", import.meta.url);
const LOADER_ENTRY = new URL("./workers/loader.ts", import.meta.url);
/** A start waits so long to hear whether Redis can be used, in milliseconds; then it goes on, and is not ready until it can. */
const VERDICT_MS = 1_500;

export interface WorkerSettings {
  readonly threads: number;
  readonly slots: number;
  readonly tasksDirectory: string | undefined;
  /** Whether task files are loaded again when they change. */
  readonly watchTasks: boolean;
  /** Undefined: all. */
  readonly queues?: readonly string[] | undefined;
  readonly allowPrivateHosts: boolean;
  readonly version: string;
  /** Starts this program for a suspected task; see workers/isolate.ts. */
  readonly isolateCommand: readonly string[];
}

export interface RedisSettings {
  /** With its password. */
  readonly url: string;
  readonly namespace: string;
}

/** The task definitions of this process: the built-in ones and those of a folder. Throws StartupError `tasks_unreadable`. */
export async function openTasks(settings: Pick<WorkerSettings, "tasksDirectory" | "watchTasks">, log: Log): Promise<TaskFolder> {
  const directory = settings.tasksDirectory;
  const builtin = builtinPolicies.map((policy) => ({ policy }));
  const load = async (): Promise<LoadedFiles> => {
    if (directory === undefined) return { sources: builtin, broken: [] };
    const { sources, broken } = await loadTasks(directory);
    return { sources: [...builtin, ...sources], broken };
  };
  return await TaskFolder.open({ directory, watch: settings.watchTasks, load, log });
}

/** Loads the files of a tasks folder; throws StartupError `tasks_unreadable`. */
export async function loadTasks(directory: string): Promise<LoadedFiles> {
  const files = listTaskFiles(directory);
  const { checkPolicy } = await import("./domain/schema-check.ts");
  const taken = builtinPolicies.map(({ name }) => name);
  return await loadTaskFiles(LOADER_ENTRY, files, taken, checkPolicy);
}

/** Checks inputs by those schemas of task files that are code, or can cost much. */
export const schemaThreads = (sources: readonly Source[]): SchemaThreads => new SchemaThreads(LOADER_ENTRY, sources);

/**
 * Connects to Redis.
 *
 * @param owner the data directory that the namespace is to belong to, the epoch of its rows, and that of the events that it has
 *   read last; undefined: a worker process, which owns none
 * @throws StartupError `redis_refused` where Redis answers and cannot be used; one that does not answer may come later
 */
export async function openRedis(
  { url, namespace }: RedisSettings,
  log: Log,
  owner?: { readonly directory: string; readonly epoch: string; readonly lastEpoch: string | undefined },
) {
  // Whoever does without Redis need not load it.
  const [{ RedisBroker }, { Keys }, { connector }] = await Promise.all([
    import("./drivers/redis/broker.ts"),
    import("./drivers/redis/keys.ts"),
    import("./drivers/redis/url.ts"),
  ]);
  const parts: RedisBrokerParts = {
    connector: connector(url),
    keys: new Keys(namespace),
    owner: owner?.directory,
    rows: owner?.epoch,
    lastEpoch: owner?.lastEpoch,
    clock: systemClock,
    random: systemRandom,
    log,
  };
  const broker = new RedisBroker(parts);
  await broker.link.verdict(VERDICT_MS);
  const { fatal } = broker.link;
  if (fatal === undefined) return broker;
  await broker.stop();
  throw new StartupError(fatal.code, fatal.message);
}

/** The start goes on and says the same once more, or ends with what was found. */
export const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };

/**
 * Looks whether Redis can be used, before anything is made or changed for it. One that does not answer is not refused.
 *
 * @param directory the data directory that the namespace is to belong to; null: one that is yet to be made, to which none
 *   belongs; undefined: nobody asks
 * @throws StartupError `redis_refused`
 */
export async function refuseRedis(settings: RedisSettings, directory: string | null | undefined): Promise<void> {
  const broker = await openRedis(settings, silent);
  const { link } = broker;
  const owner = await link.call((client) => client.get(link.keys.owner)).catch(() => null);
  await broker.stop();
  if (directory === undefined || owner === null || owner === directory) return;
  const advice = `the namespace ${settings.namespace} belongs to another data directory: give this server a --namespace of its own`;
  throw new StartupError("redis_refused", `cannot use ${link.connector.label}: ${advice}`);
}

/** The threads and processes that run tasks here. */
export function supervisorOf(
  settings: WorkerSettings,
  { broker, worker = systemRandom.uuid(), sources, redis, flights }: SupervisorOf,
  log: Log,
): Supervisor {
  return new Supervisor({
    broker,
    worker,
    threads: settings.threads,
    slots: settings.slots,
    sources,
    queues: settings.queues,
    ownBroker: redis,
    about: { host: hostname(), pid: process.pid, version: settings.version },
    allowPrivateHosts: settings.allowPrivateHosts,
    flights,
    threadKind: threads(THREAD_ENTRY),
    processKind: processes(settings.isolateCommand),
    clock: systemClock,
    random: systemRandom,
    log,
  });
}

interface SupervisorOf {
  readonly broker: Broker;
  /** The name under which it holds leases; by default a new one. */
  readonly worker?: string;
  readonly sources: readonly Source[];
  /** Undefined: the embedded broker. */
  readonly redis: RedisSettings | undefined;
  /** Where threads leave word of what they run, for the process after this one. */
  readonly flights?: string | undefined;
}

/** A broken task file takes its own task out and nothing else: the service is ready, and says what is missing. */
export function taskFilesCheck({ loaded: { broken } }: TaskFolder): Check {
  return broken.length === 0 ? { ok: true } : { ok: true, detail: broken.map(({ reason }) => reason).join("; ") };
}

export function brokerCheck(broker: Broker): Check {
  return checkOf(broker.trouble());
}

/** @param trouble keeps a part of the service from its work; `worry` does not yet */
export function checkOf(trouble: string | undefined, worry?: string): Check {
  const detail = trouble ?? worry;
  return { ok: trouble === undefined, ...(detail === undefined ? {} : { detail }) };
}

export interface WorkSettings extends WorkerSettings {
  readonly redis: RedisSettings;
  readonly host: string;
  /** For /health and /metrics; undefined: none. */
  readonly port: number | undefined;
}

export interface RunningWorkers {
  /** The tasks that are served here at the start. */
  readonly tasks: readonly string[];
  /** The address of /health and /metrics, if there is one. */
  readonly url: string | undefined;
  /** The address of Redis, without its password. */
  readonly redis: string;
  /** Why Redis cannot be used now; undefined: it can. */
  trouble(): string | undefined;
  /** Calls once, as soon as Redis can be used: now, later, or never where the end comes before. */
  onceConnected(listener: () => void): void;
  /** Drains and ends; idempotent. `deadlineMs` in milliseconds since 1970 UTC. */
  stop(deadlineMs: number): Promise<void>;
}

/**
 * Starts a worker process: threads that take their jobs from Redis. It has no database.
 *
 * @throws StartupError; nothing is left running
 */
export async function startWorkers(settings: WorkSettings, log: Log): Promise<RunningWorkers> {
  const folder = await openTasks(settings, log);
  await refuseRedis(settings.redis, undefined);
  const broker = await openRedis(settings.redis, log);
  const supervisor = supervisorOf(settings, { broker, sources: folder.loaded.sources, redis: settings.redis }, log);
  folder.watch(() => supervisor.renew(folder.loaded.sources));
  const { servePulse } = await import("./http/pulse.ts");
  const pulse =
    settings.port === undefined
      ? undefined
      : await servePulse(
          { host: settings.host, port: settings.port },
          {
            version: settings.version,
            checks: () => ({ broker: brokerCheck(broker), tasks: taskFilesCheck(folder) }),
            running: () => supervisor.running,
          },
        ).catch(async (error: unknown) => {
          await broker.stop();
          throw error;
        });
  supervisor.start();
  folder.start();
  const stop = async (deadlineMs: number): Promise<void> => {
    folder.stop();
    await supervisor.stop(deadlineMs);
    await broker.stop();
    await pulse?.stop();
  };
  let stopping: Promise<void> | undefined;
  return {
    tasks: folder.loaded.sources.map(({ policy }) => policy.name),
    url: pulse?.url,
    redis: broker.link.connector.label,
    trouble: () => broker.trouble(),
    onceConnected(listener) {
      if (broker.trouble() === undefined) return listener();
      const unsubscribe = broker.onReady(() => {
        unsubscribe();
        if (!stopping) listener();
      });
    },
    stop: (deadlineMs) => (stopping ??= stop(deadlineMs)),
  };
}
