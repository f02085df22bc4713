/**
 * The composition root: the only place that knows services and drivers together.
 */
import { join } from "node:path";
import type { Server } from "bun";
import { openTaskServices } from "./compose-tasks.ts";
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
import { preparedOn } from "./drivers/sqlite/prepared.ts";
import { SqliteTasks } from "./drivers/sqlite/tasks.ts";
import { systemClock, systemRandom } from "./drivers/system.ts";
import { type AppDeps, apiRoutes, createApp } from "./http/app.ts";
import { clientAddress } from "./http/client-address.ts";
import { listen, refuseTakenPort, urlOf } from "./http/listen.ts";
import { metricsText } from "./http/metrics.ts";
import { Notifications } from "./http/notifications.ts";
import { originCheck } from "./http/origins.ts";
import { Topics } from "./http/topics.ts";
import type { Broker } from "./ports/broker.ts";
import type { Log } from "./ports/runtime.ts";
import { Accounts } from "./services/accounts.ts";
import { Limits } from "./services/limits.ts";
import { Predecessor } from "./services/predecessor.ts";
import { Retention } from "./services/retention.ts";
import { scheduleOwner } from "./services/schedule-owner.ts";
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

async function assemble(settings: ServerSettings, log: Log, directory: string, opened: Opened) {
  const { database, store, broker, secret, folder } = opened;
  const clock = systemClock;
  const random = systemRandom;
  const { db } = database;
  const disk = new Disk(db.filename, log);
  const accountStore = sqliteAccounts(database.orm, disk);
  const passwords = new Argon2Passwords();
  const signer = await jwtSigner(secret, clock);
  const accounts = new Accounts({ store: accountStore, passwords, signer, limits: new Limits(), clock, random });
  const topics = new Topics();
  const schemas = schemaThreads(folder.loaded.sources);
  const flights = readFlights(directory);
  const core = openTaskServices({
    ...opened,
    disk,
    notifier: topics,
    offered: folder.offered,
    schemas,
    wasRunning: flights && ((ref) => flights.has(flightKey(ref))),
    scheduleOwner: scheduleOwner({ store: accountStore, passwords, clock, random }),
    ownerOf: (id) => accounts.find(id)?.n,
    maxQueued: settings.maxQueued,
    maxQueuedPerUser: settings.maxQueuedPerUser,
    log,
  });
  const { work, workflowStore } = core;
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
  folder.watch(() => {
    schemas.renew(folder.loaded.sources);
    core.renew(folder.offered);
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
    ...core,
    accounts,
    notifications,
    workers: () => broker.workers(),
    originAllowed,
    clientAddress: clientAddress(settings.trustProxy),
    origins: settings.origins,
    checks: () => ({
      database: checkOf(work.trouble() ?? core.recorder.trouble, checkpoints.trouble),
      broker: brokerCheck(broker),
      tasks: taskFilesCheck(folder),
    }),
    metrics: metricsText({
      version: settings.version,
      running: () => supervisor.running,
      service: {
        accepted: () => core.counts.accepted,
        ended: () => core.counts.ended,
        pending: () => core.quotas.total,
        inProgress: () => core.counts.inProgress,
        inBroker: () => core.window.inBroker,
        waiting: () => core.window.waiting,
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
      await core.start();
      predecessor?.start();
      removeFlights(directory);
      await core.startTimes();
      retention.start();
      watch.start();
      checkpoints.start();
      supervisor.start();
      folder.start();
    },

    /** Forward only: no new work, running work to its end or back to the queue, then what is stored, then the sockets. */
    async stop(deadlineMs: number, server: Server<unknown>): Promise<void> {
      folder.stop();
      await core.stopTimes();
      predecessor?.stop();
      watch.stop();
      checkpoints.stop();
      await supervisor.stop(deadlineMs);
      removeFlights(directory);
      await retention.stop();
      await core.stop();
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
