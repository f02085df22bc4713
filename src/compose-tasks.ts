/**
 * The composition of the way of a task, from its intake to its record and what follows from that. Who runs tasks is not in here.
 */
import { openWorkflows } from "./compose-workflows.ts";
import type { TaskPolicy } from "./domain/definition.ts";
import type { openDatabase } from "./drivers/sqlite/database.ts";
import type { Disk } from "./drivers/sqlite/disk.ts";
import { SqlitePauses } from "./drivers/sqlite/pauses.ts";
import { preparedOn } from "./drivers/sqlite/prepared.ts";
import { SqliteSchedules } from "./drivers/sqlite/schedules.ts";
import type { SqliteTasks } from "./drivers/sqlite/tasks.ts";
import { SqliteUnitOfWork } from "./drivers/sqlite/unit-of-work.ts";
import { SqliteWorkflows } from "./drivers/sqlite/workflows.ts";
import { systemClock } from "./drivers/system.ts";
import type { Broker, JobRef } from "./ports/broker.ts";
import type { SchemaRunner } from "./ports/definitions.ts";
import type { Notifier } from "./ports/notices.ts";
import type { Log } from "./ports/runtime.ts";
import { DefinitionRegistry } from "./services/definitions.ts";
import { Dispatcher } from "./services/dispatcher.ts";
import { Pauses } from "./services/pauses.ts";
import { Quotas } from "./services/quotas.ts";
import { Reconciler } from "./services/reconciler.ts";
import { Recorder } from "./services/recorder.ts";
import { Scheduler } from "./services/scheduler.ts";
import { Schedules } from "./services/schedules.ts";
import { Staffing } from "./services/staffing.ts";
import { TaskCounts } from "./services/task-counts.ts";
import { type Caller, Tasks } from "./services/tasks.ts";
import { Waiting } from "./services/waiting.ts";
import { Window } from "./services/window.ts";
import { Workflows } from "./services/workflows.ts";

interface Parts {
  readonly database: ReturnType<typeof openDatabase>;
  readonly disk: Disk;
  readonly store: SqliteTasks;
  readonly broker: Broker;
  readonly notifier: Notifier;
  readonly offered: readonly TaskPolicy[];
  readonly schemas: SchemaRunner;
  /** Whether a job ran when the process before ended; undefined: not known. */
  readonly wasRunning: ((ref: JobRef) => boolean) | undefined;
  /** Who owns what runs by a schedule. */
  readonly scheduleOwner: () => Promise<Caller>;
  /** An account's integer key by its id. */
  readonly ownerOf: (id: string) => number | undefined;
  readonly maxQueued: number;
  readonly maxQueuedPerUser: number;
  readonly log: Log;
}

export function openTaskServices(parts: Parts) {
  const { database, store, broker, notifier, log } = parts;
  const { db } = database;
  const clock = systemClock;
  const work = new SqliteUnitOfWork(db, () => store.forget(), parts.disk);
  const window = new Window();
  const quotas = new Quotas(store, { total: parts.maxQueued, perOwner: parts.maxQueuedPerUser });
  const counts = new TaskCounts();
  const dispatcher = new Dispatcher({ hub: broker, store, work, window, counters: [quotas, counts], log });
  const definitions = new DefinitionRegistry(parts.offered, parts.schemas);
  const policies = () => definitions.all();
  const workflowStore = new SqliteWorkflows(db, store.reader);
  const shared = { hub: broker, store, workflows: workflowStore, work, dispatcher, definitions, notifier, quotas, clock, log };
  const onPutOff = (runAt: number): void => scheduler.expect(runAt);
  const { members, unique, feed, intake } = openWorkflows({ ...shared, onPutOff });
  const scheduler: Scheduler = new Scheduler({ ...shared, members });
  const recorder = new Recorder({ ...shared, members, onPutOff });
  const reconciler = new Reconciler({ ...shared, recorder, members, wasRunning: parts.wasRunning });
  const pauses = new Pauses({ ...shared, store: new SqlitePauses(preparedOn(db)), window, policies });
  const waiting = new Waiting({
    ...shared,
    pauses,
    staffing: new Staffing(broker, clock),
    window,
    limitsOf: (name) => definitions.get(name)?.policy,
    ownerOf: parts.ownerOf,
  });
  const tasks = new Tasks({ ...shared, recorder, scheduler, waiting, unique, members });
  const workflows = new Workflows({ ...shared, recorder, members, intake });
  const schedules = new Schedules({
    store: new SqliteSchedules(preparedOn(db)),
    work,
    tasks,
    policies,
    owner: parts.scheduleOwner,
    clock,
    log,
  });
  return {
    work,
    workflowStore,
    window,
    quotas,
    counts,
    recorder,
    pauses,
    waiting,
    tasks,
    workflows,
    schedules,

    /** Other definitions are on offer from now on. */
    renew(offered: readonly TaskPolicy[]): void {
      definitions.replace(offered);
      pauses.renew();
      schedules.renew().catch((error: unknown) => log.error("could not follow the schedules", { error: String(error) }));
    },

    /** What is stored is taken up, and what the broker says is recorded. */
    async start(): Promise<void> {
      quotas.load();
      counts.load(store);
      pauses.load();
      dispatcher.load();
      await workflows.start();
      await feed.start();
      recorder.start();
      await reconciler.start();
    },

    /** Tasks come up by themselves: those whose time has come, and those of schedules. */
    async startTimes(): Promise<void> {
      scheduler.start();
      await schedules.start();
    },

    async stopTimes(): Promise<void> {
      await schedules.stop();
      await scheduler.stop();
    },

    /** What workers have said so far is recorded. */
    async stop(): Promise<void> {
      await reconciler.stop();
      await recorder.stop();
      feed.stop();
    },
  };
}
