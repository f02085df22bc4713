/**
 * The composition root: the only place that knows services and drivers together.
 */
import type { Server } from "bun";
import { Argon2Passwords } from "./drivers/argon2.ts";
import { holdDataDirectory } from "./drivers/data-directory.ts";
import { EmbeddedBroker } from "./drivers/embedded/broker.ts";
import { jwtSigner } from "./drivers/jwt.ts";
import { givenSecret, loadSecret } from "./drivers/secret.ts";
import { sqliteAccounts } from "./drivers/sqlite/accounts.ts";
import { ChangeWatch } from "./drivers/sqlite/change-watch.ts";
import { Checkpoints } from "./drivers/sqlite/checkpoints.ts";
import { asStartupError, type Durability, openDatabase } from "./drivers/sqlite/database.ts";
import { refuseUnfit } from "./drivers/sqlite/inspect.ts";
import { migrateUp } from "./drivers/sqlite/migrate.ts";
import { SqliteTasks } from "./drivers/sqlite/tasks.ts";
import { SqliteUnitOfWork } from "./drivers/sqlite/unit-of-work.ts";
import { systemClock, systemRandom } from "./drivers/system.ts";
import { type AppDeps, apiRoutes, createApp } from "./http/app.ts";
import { clientAddress } from "./http/client-address.ts";
import { listen, refuseTakenPort } from "./http/listen.ts";
import { metricsText } from "./http/metrics.ts";
import { Notifications } from "./http/notifications.ts";
import { originCheck } from "./http/origins.ts";
import { Topics } from "./http/topics.ts";
import type { JobRef } from "./ports/broker.ts";
import type { Log } from "./ports/runtime.ts";
import { Accounts } from "./services/accounts.ts";
import { DefinitionRegistry } from "./services/definitions.ts";
import { Dispatcher } from "./services/dispatcher.ts";
import { Limits } from "./services/limits.ts";
import { Quotas } from "./services/quotas.ts";
import { Reconciler } from "./services/reconciler.ts";
import { Recorder } from "./services/recorder.ts";
import { Retention } from "./services/retention.ts";
import { Scheduler } from "./services/scheduler.ts";
import { TaskCounts } from "./services/task-counts.ts";
import { Tasks } from "./services/tasks.ts";
import { Window } from "./services/window.ts";
import { builtinPolicies } from "./tasks/builtin.ts";
import { flightKey, readFlights, removeFlights } from "./workers/flight.ts";
import { processes, threads } from "./workers/hands.ts";
import type { Source } from "./workers/messages.ts";
import { Supervisor } from "./workers/supervisor.ts";
import { type LoadedFiles, listTaskFiles, loadTaskFiles } from "./workers/task-files.ts";

/** Files that a Worker starts; scripts/build.ts puts them into the executable. */
const THREAD_ENTRY = new URL("./workers/thread.ts", import.meta.url);
const LOADER_ENTRY = new URL("./workers/loader.ts", import.meta.url);

export interface ServerSettings {
  readonly host: string;
  readonly port: number;
  readonly dataDirectory: string;
  readonly durability: Durability;
  readonly threads: number;
  readonly slots: number;
  readonly tasksDirectory: string | undefined;
  readonly retentionMs: number;
  readonly maxQueued: number;
  readonly maxQueuedPerUser: number;
  readonly origins: readonly string[];
  readonly trustProxy: readonly string[];
  readonly secret: string | undefined;
  readonly allowPrivateHosts: boolean;
  readonly logRequests: boolean;
  readonly version: string;
  /** Starts this program for a suspected task; see workers/isolate.ts. */
  readonly isolateCommand: readonly string[];
}

export interface RunningServer {
  /** As `http://HOST:PORT`. */
  readonly url: string;
  /** Drains and ends; idempotent. `deadlineMs` in milliseconds since 1970 UTC. */
  stop(deadlineMs: number): Promise<void>;
}

/** Loads the files of a tasks folder; throws StartupError `tasks_unreadable`. */
export async function loadTasks(directory: string): Promise<LoadedFiles> {
  const files = listTaskFiles(directory);
  const { checkSchema } = await import("./services/schema-check.ts");
  const taken = builtinPolicies.map(({ name }) => name);
  return await loadTaskFiles(LOADER_ENTRY, files, taken, ({ input }) => checkSchema(input));
}

/**
 * Starts the whole service.
 *
 * @throws StartupError (domain/errors.ts); nothing is left running or locked
 */
export async function startServer(settings: ServerSettings, log: Log): Promise<RunningServer> {
  // What can be refused is refused before anything is made or changed.
  givenSecret(settings.secret);
  if (settings.tasksDirectory !== undefined) listTaskFiles(settings.tasksDirectory);
  await refuseTakenPort(settings);
  const directory = holdDataDirectory(settings.dataDirectory, refuseUnfit);
  const undo: (() => unknown)[] = [() => directory.release()];
  try {
    const secret = loadSecret(directory.path, settings.secret);
    const database = openDatabase(directory.databasePath, { durability: settings.durability });
    undo.push(() => database.close());
    const migrated = migrateUp(database.db);
    if (migrated.tags.length > 0) log.info("migrated the database", { migrations: migrated.tags, copy: migrated.copy });
    const files = settings.tasksDirectory === undefined ? { sources: [], broken: [] } : await loadTasks(settings.tasksDirectory);
    for (const { file, reason } of files.broken) log.error("task file left out", { file, reason });
    const parts = await assemble(settings, log, directory.path, database, secret, files);
    const server = await listen(parts.app, settings);
    undo.push(() => server.stop(true));
    await parts.start(server);
    const url = `http://${settings.host.includes(":") ? `[${settings.host}]` : settings.host}:${server.port}`;
    const stop = async (deadlineMs: number): Promise<void> => {
      await parts.stop(deadlineMs, server);
      database.close();
      directory.release();
    };
    let stopping: Promise<void> | undefined;
    return { url, stop: (deadlineMs) => (stopping ??= stop(deadlineMs)) };
  } catch (error) {
    for (const step of undo.reverse()) await step();
    // Damage further inside of the file shows only where it is read.
    throw isSqliteError(error) ? asStartupError(directory.databasePath, error) : error;
  }
}

const isSqliteError = (error: unknown): boolean => String((error as { code?: unknown } | null)?.code).startsWith("SQLITE_");

async function assemble(
  settings: ServerSettings,
  log: Log,
  directory: string,
  database: ReturnType<typeof openDatabase>,
  secret: string,
  files: LoadedFiles,
) {
  const clock = systemClock;
  const random = systemRandom;
  const { db, orm } = database;
  const store = new SqliteTasks(db, random.uuid);
  const work = new SqliteUnitOfWork(db, () => store.forget());
  const broker = new EmbeddedBroker({ clock, epoch: random.uuid() });
  const sources: Source[] = [...builtinPolicies.map((policy) => ({ policy })), ...files.sources];

  const window = new Window();
  const quotas = new Quotas(store, { total: settings.maxQueued, perOwner: settings.maxQueuedPerUser });
  const counts = new TaskCounts();
  const topics = new Topics();
  const dispatcher = new Dispatcher({ hub: broker, store, work, window, counters: [quotas, counts], log });
  const scheduler = new Scheduler({ store, work, dispatcher, notifier: topics, clock, log });
  const recorder = new Recorder({
    hub: broker,
    store,
    work,
    dispatcher,
    notifier: topics,
    log,
    onPutOff: (runAt) => scheduler.expect(runAt),
  });
  const flights = readFlights(directory);
  const wasRunning = flights && ((ref: JobRef) => flights.has(flightKey(ref)));
  const reconciler = new Reconciler({ hub: broker, store, work, dispatcher, recorder, notifier: topics, wasRunning, clock, log });
  const definitions = new DefinitionRegistry(sources.map(({ policy }) => policy));
  const tasks = new Tasks({
    store,
    work,
    definitions,
    dispatcher,
    recorder,
    scheduler,
    notifier: topics,
    hub: broker,
    quotas,
    clock,
  });
  const accounts = new Accounts({
    store: sqliteAccounts(orm),
    passwords: new Argon2Passwords(),
    signer: await jwtSigner(secret, clock),
    limits: new Limits(),
    clock,
    random,
  });
  const supervisor = new Supervisor({
    broker,
    worker: random.uuid(),
    threads: settings.threads,
    slots: settings.slots,
    sources,
    allowPrivateHosts: settings.allowPrivateHosts,
    flights: directory,
    threadKind: threads(THREAD_ENTRY),
    processKind: processes(settings.isolateCommand),
    clock,
    random,
    log,
  });
  const retention = new Retention({
    store,
    work,
    clock,
    retentionMs: settings.retentionMs,
    purgeSessions: (limit) => accounts.purge(limit),
    log,
  });
  const watch = new ChangeWatch(db, () => accounts.refreshFromStore());
  const checkpoints = new Checkpoints(db, () => work.commits);
  const originAllowed = originCheck(settings.origins);
  const notifications = new Notifications({ accounts, store, topics, originAllowed, clock });
  const deps: AppDeps = {
    accounts,
    tasks,
    notifications,
    originAllowed,
    clientAddress: clientAddress(settings.trustProxy),
    origins: settings.origins,
    checks: () => ({
      database: { ok: recorder.healthy && work.canStore() },
      broker: { ok: broker.ready() },
      tasks: taskFilesCheck(files),
    }),
    metrics: metricsText({
      version: settings.version,
      accepted: () => counts.accepted,
      ended: () => counts.ended,
      pending: () => quotas.total,
      inProgress: () => counts.inProgress,
      inBroker: () => window.inBroker,
      waiting: () => window.waiting,
      running: () => supervisor.running,
      sockets: () => notifications.count,
    }),
    version: settings.version,
    logRequests: settings.logRequests,
    log,
  };
  return {
    app: await createApp(deps),

    async start(server: Server<unknown>): Promise<void> {
      topics.attach(server);
      quotas.load();
      dispatcher.load();
      recorder.start();
      await reconciler.start();
      removeFlights(directory);
      scheduler.start();
      retention.start();
      watch.start();
      checkpoints.start();
      supervisor.start();
    },

    /** Forward only: no new work, running work to its end or back to the queue, then what is stored, then the sockets. */
    async stop(deadlineMs: number, server: Server<unknown>): Promise<void> {
      await scheduler.stop();
      watch.stop();
      checkpoints.stop();
      await supervisor.stop(deadlineMs);
      removeFlights(directory);
      await retention.stop();
      await reconciler.stop();
      await recorder.stop();
      notifications.closeAll("restart");
      await Promise.race([server.stop(), Bun.sleep(Math.min(250, Math.max(0, deadlineMs - clock.now())))]);
      await server.stop(true);
      work.flush();
      await broker.stop();
    },
  };
}

/** A broken task file takes its own task out and nothing else: the service is ready, and says what is missing. */
function taskFilesCheck(files: LoadedFiles): { ok: boolean; detail?: string } {
  return files.broken.length === 0 ? { ok: true } : { ok: true, detail: files.broken.map(({ reason }) => reason).join("; ") };
}

/** The OpenAPI document of a server with the built-in tasks, without starting one. */
export async function openapiDocument(version: string): Promise<unknown> {
  const { describeApi } = await import("./http/docs.ts");
  return await describeApi({ version, describe: () => apiRoutes({} as AppDeps), definitions: () => builtinPolicies });
}
