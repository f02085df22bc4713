/**
 * The composition root: the only place that knows services and drivers together.
 */
import { join } from "node:path";
import type { Server } from "bun";
import {
  brokerCheck,
  checkOf,
  openRedis,
  openTasks,
  type RedisSettings,
  refuseRedis,
  schemaThreads,
  supervisorOf,
  taskFilesCheck,
  type WorkerSettings,
} from "./compose-workers.ts";
import { openWorkflows } from "./compose-workflows.ts";
import { Argon2Passwords } from "./drivers/argon2.ts";
import { holdDataDirectory } from "./drivers/data-directory.ts";
import { EmbeddedBroker } from "./drivers/embedded/broker.ts";
import { jwtSigner } from "./drivers/jwt.ts";
import { givenSecret, loadSecret } from "./drivers/secret.ts";
import { sqliteAccounts } from "./drivers/sqlite/accounts.ts";
import { ChangeWatch } from "./drivers/sqlite/change-watch.ts";
import { Checkpoints } from "./drivers/sqlite/checkpoints.ts";
import { asStartupError, type Durability, openDatabase } from "./drivers/sqlite/database.ts";
import { Disk } from "./drivers/sqlite/disk.ts";
import { directoryOf, refuseUnfit } from "./drivers/sqlite/inspect.ts";
import { MetaRows } from "./drivers/sqlite/meta-rows.ts";
import { migrateUp } from "./drivers/sqlite/migrate.ts";
import { SqlitePauses } from "./drivers/sqlite/pauses.ts";
import { preparedOn } from "./drivers/sqlite/prepared.ts";
import { SqliteSchedules } from "./drivers/sqlite/schedules.ts";
import { SqliteTasks } from "./drivers/sqlite/tasks.ts";
import { SqliteUnitOfWork } from "./drivers/sqlite/unit-of-work.ts";
import { SqliteWorkflows } from "./drivers/sqlite/workflows.ts";
import { systemClock, systemRandom } from "./drivers/system.ts";
import { type AppDeps, apiRoutes, createApp } from "./http/app.ts";
import { clientAddress } from "./http/client-address.ts";
import { listen, refuseTakenPort, urlOf } from "./http/listen.ts";
import { metricsText } from "./http/metrics.ts";
import { Notifications } from "./http/notifications.ts";
import { originCheck } from "./http/origins.ts";
import { Topics } from "./http/topics.ts";
import type { Broker, JobRef } from "./ports/broker.ts";
import type { Log } from "./ports/runtime.ts";
import { Accounts } from "./services/accounts.ts";
import { DefinitionRegistry } from "./services/definitions.ts";
import { Dispatcher } from "./services/dispatcher.ts";
import { Limits } from "./services/limits.ts";
import { Pauses } from "./services/pauses.ts";
import { Predecessor } from "./services/predecessor.ts";
import { Quotas } from "./services/quotas.ts";
import { Reconciler } from "./services/reconciler.ts";
import { Recorder } from "./services/recorder.ts";
import { Retention } from "./services/retention.ts";
import { scheduleOwner } from "./services/schedule-owner.ts";
import { Scheduler } from "./services/scheduler.ts";
import { Schedules } from "./services/schedules.ts";
import { Staffing } from "./services/staffing.ts";
import { TaskCounts } from "./services/task-counts.ts";
import { Tasks } from "./services/tasks.ts";
import { Window } from "./services/window.ts";
import { Workflows } from "./services/workflows.ts";
import { builtinPolicies } from "./tasks/builtin.ts";
import { flightKey, readFlights, removeFlights } from "./workers/flight.ts";
import { listTaskFiles } from "./workers/task-files.ts";
import type { TaskFolder } from "./workers/task-folder.ts";

export interface ServerSettings extends WorkerSettings {
  readonly host: string;
  readonly port: number;
  readonly dataDirectory: string;
  readonly durability: Durability;
  /** Undefined: jobs stay in this process. */
  readonly redis: RedisSettings | undefined;
  readonly retentionMs: number;
  readonly maxQueued: number;
  readonly maxQueuedPerUser: number;
  readonly origins: readonly string[];
  readonly trustProxy: readonly string[];
  readonly secret: string | undefined;
  readonly logRequests: boolean;
}

export interface RunningServer {
  /** As `http://HOST:PORT`. */
  readonly url: string;
  /** Drains and ends; idempotent. `deadlineMs` in milliseconds since 1970 UTC. */
  stop(deadlineMs: number): Promise<void>;
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
  if (settings.redis) await refuseRedis(settings.redis, directoryOf(join(settings.dataDirectory, "artel.db")));
  const directory = holdDataDirectory(settings.dataDirectory, refuseUnfit);
  const undo: (() => unknown)[] = [() => directory.release()];
  try {
    const secret = loadSecret(directory.path, settings.secret);
    const database = openDatabase(directory.databasePath, { durability: settings.durability });
    undo.push(() => database.close());
    const migrated = migrateUp(database.db);
    if (migrated.tags.length > 0) log.info("migrated the database", { migrations: migrated.tags, copy: migrated.copy });
    const folder = await openTasks(settings, log);
    const store = new SqliteTasks(database.db, systemRandom.uuid);
    const broker = settings.redis
      ? await openRedis(settings.redis, log, {
          directory: store.directory,
          epoch: store.epoch,
          lastEpoch: store.offset("redis")?.epoch,
        })
      : new EmbeddedBroker({ clock: systemClock, epoch: systemRandom.uuid() });
    undo.push(() => broker.stop());
    const parts = await assemble(settings, log, directory.path, { database, store, broker, secret, folder });
    const server = await listen(parts.app, settings);
    undo.push(() => server.stop(true));
    await parts.start(server);
    const url = urlOf(settings.host, server);
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

interface Opened {
  readonly database: ReturnType<typeof openDatabase>;
  readonly store: SqliteTasks;
  readonly broker: Broker;
  readonly secret: string;
  readonly folder: TaskFolder;
}

async function assemble(
  settings: ServerSettings,
  log: Log,
  directory: string,
  { database, store, broker, secret, folder }: Opened,
) {
  const clock = systemClock;
  const random = systemRandom;
  const { db, orm } = database;
  const disk = new Disk(db.filename, log);
  const work = new SqliteUnitOfWork(db, () => store.forget(), disk);

  const window = new Window();
  const quotas = new Quotas(store, { total: settings.maxQueued, perOwner: settings.maxQueuedPerUser });
  const counts = new TaskCounts();
  const topics = new Topics();
  const dispatcher = new Dispatcher({ hub: broker, store, work, window, counters: [quotas, counts], log });
  const schemas = schemaThreads(folder.loaded.sources);
  const definitions = new DefinitionRegistry(folder.offered, schemas);
  const workflowStore = new SqliteWorkflows(db, store.reader);
  const shared = { store, workflows: workflowStore, work, dispatcher, definitions, notifier: topics, quotas, clock, log };
  const onPutOff = (runAt: number): void => scheduler.expect(runAt);
  const { members, unique, feed, intake } = openWorkflows({ ...shared, onPutOff });
  const scheduler: Scheduler = new Scheduler({ ...shared, members });
  const recorder = new Recorder({
    hub: broker,
    store,
    work,
    dispatcher,
    notifier: topics,
    members,
    log,
    onPutOff,
  });
  const flights = readFlights(directory);
  const wasRunning = flights && ((ref: JobRef) => flights.has(flightKey(ref)));
  const policies = () => definitions.all();
  const pauses = new Pauses({ ...shared, store: new SqlitePauses(preparedOn(db)), hub: broker, window, policies });
  const staffing = new Staffing(broker, pauses, clock);
  const reconciler = new Reconciler({ ...shared, hub: broker, recorder, members, wasRunning });
  const tasks = new Tasks({ ...shared, hub: broker, recorder, scheduler, staffing, unique, members });
  const workflows = new Workflows({ ...shared, hub: broker, recorder, members, intake });
  const accountStore = sqliteAccounts(orm, disk);
  const passwords = new Argon2Passwords();
  const accounts = new Accounts({
    store: accountStore,
    passwords,
    signer: await jwtSigner(secret, clock),
    limits: new Limits(),
    clock,
    random,
  });
  const meta = new MetaRows(preparedOn(db));
  const before = meta.get("worker");
  const worker = meta.set("worker", random.uuid());
  // The embedded broker's leases went down with its process; Redis still holds them.
  const predecessor =
    settings.redis && before !== undefined && flights
      ? new Predecessor({ broker, worker: before, running: [...flights.values()], clock, log })
      : undefined;
  const supervisor = supervisorOf(
    settings,
    { broker, worker, sources: folder.loaded.sources, redis: settings.redis, flights: directory },
    log,
  );
  const schedules = new Schedules({
    store: new SqliteSchedules(preparedOn(db)),
    work,
    tasks,
    policies,
    owner: scheduleOwner({ store: accountStore, passwords, clock, random }),
    clock,
    log,
  });
  folder.watch(() => {
    schemas.renew(folder.loaded.sources);
    definitions.replace(folder.offered);
    pauses.renew();
    schedules.renew().catch((error: unknown) => log.error("could not follow the schedules", { error: String(error) }));
    supervisor.renew(folder.loaded.sources);
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
  const checkpoints = new Checkpoints(db, () => work.commits, log);
  const originAllowed = originCheck(settings.origins);
  const notifications = new Notifications({ accounts, store, workflows: workflowStore, topics, originAllowed, clock });
  const deps: AppDeps = {
    accounts,
    tasks,
    workflows,
    schedules,
    pauses,
    staffing,
    notifications,
    workers: () => broker.workers(),
    originAllowed,
    clientAddress: clientAddress(settings.trustProxy),
    origins: settings.origins,
    checks: () => ({
      database: checkOf(work.trouble() ?? recorder.trouble, checkpoints.trouble),
      broker: brokerCheck(broker),
      tasks: taskFilesCheck(folder),
    }),
    metrics: metricsText({
      version: settings.version,
      running: () => supervisor.running,
      service: {
        accepted: () => counts.accepted,
        ended: () => counts.ended,
        pending: () => quotas.total,
        inProgress: () => counts.inProgress,
        inBroker: () => window.inBroker,
        waiting: () => window.waiting,
        sockets: () => notifications.count,
      },
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
      counts.load(store);
      pauses.load();
      dispatcher.load();
      await workflows.start();
      await feed.start();
      recorder.start();
      await reconciler.start();
      predecessor?.start();
      removeFlights(directory);
      scheduler.start();
      await schedules.start();
      retention.start();
      watch.start();
      checkpoints.start();
      supervisor.start();
      folder.start();
    },

    /** Forward only: no new work, running work to its end or back to the queue, then what is stored, then the sockets. */
    async stop(deadlineMs: number, server: Server<unknown>): Promise<void> {
      folder.stop();
      await schedules.stop();
      await scheduler.stop();
      predecessor?.stop();
      watch.stop();
      checkpoints.stop();
      await supervisor.stop(deadlineMs);
      removeFlights(directory);
      await retention.stop();
      await reconciler.stop();
      await recorder.stop();
      feed.stop();
      notifications.closeAll("restart");
      await Promise.race([server.stop(), Bun.sleep(Math.min(250, Math.max(0, deadlineMs - clock.now())))]);
      await server.stop(true);
      schemas.stop();
      work.flush();
      await broker.stop();
    },
  };
}

/** The OpenAPI document of a server with the built-in tasks, without starting one. */
export async function openapiDocument(version: string): Promise<unknown> {
  const { describeApi } = await import("./http/docs.ts");
  return await describeApi({ version, describe: () => apiRoutes({} as AppDeps), definitions: () => builtinPolicies });
}
