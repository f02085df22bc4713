import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openWorkflows } from "../../src/compose-workflows.ts";
import type { TaskPolicy } from "../../src/domain/definition.ts";
import { isTerminal, type Status } from "../../src/domain/task.ts";
import { EmbeddedBroker } from "../../src/drivers/embedded/broker.ts";
import { openDatabase } from "../../src/drivers/sqlite/database.ts";
import { migrateUp } from "../../src/drivers/sqlite/migrate.ts";
import { SqlitePauses } from "../../src/drivers/sqlite/pauses.ts";
import { preparedOn } from "../../src/drivers/sqlite/prepared.ts";
import { SqliteTasks } from "../../src/drivers/sqlite/tasks.ts";
import { SqliteUnitOfWork } from "../../src/drivers/sqlite/unit-of-work.ts";
import { SqliteWorkflows } from "../../src/drivers/sqlite/workflows.ts";
import type { Broker, Job, JobRef, Outcome } from "../../src/ports/broker.ts";
import type { Clock, Random } from "../../src/ports/runtime.ts";
import type { StoredTask } from "../../src/ports/tasks.ts";
import type { StoredWorkflow } from "../../src/ports/workflows.ts";
import { DefinitionRegistry } from "../../src/services/definitions.ts";
import { Dispatcher } from "../../src/services/dispatcher.ts";
import { Pauses } from "../../src/services/pauses.ts";
import { Quotas } from "../../src/services/quotas.ts";
import { Reconciler } from "../../src/services/reconciler.ts";
import { Recorder } from "../../src/services/recorder.ts";
import { Scheduler } from "../../src/services/scheduler.ts";
import { Staffing } from "../../src/services/staffing.ts";
import { type Caller, Tasks } from "../../src/services/tasks.ts";
import { Waiting } from "../../src/services/waiting.ts";
import { Window, type WindowLimits } from "../../src/services/window.ts";
import { Workflows } from "../../src/services/workflows.ts";
import { CountingRandom, ManualClock, recordingLog } from "./manual-runtime.ts";

/** The accounts of every test database. */
export const ANNA: Caller = { n: 1, id: "anna", admin: false };
export const BEN: Caller = { n: 2, id: "ben", admin: false };
export const ADMIN: Caller = { n: 3, id: "admin", admin: true };

/** A task definition of a test's own. */
export function policy(name: string, of: Partial<TaskPolicy> = {}): TaskPolicy {
  const input = { type: "object", properties: { x: { type: "integer" }, text: { type: "string" } }, additionalProperties: false };
  return {
    name,
    description: "",
    queue: "default",
    input,
    timeoutMs: 60_000,
    retry: { maxAttempts: 3, backoffMs: 1_000, maxBackoffMs: 60_000 },
    ...of,
  };
}

export interface CoreOptions {
  /** A database file, of `snapshot` for example; default: a new one. */
  readonly file?: string;
  readonly policies?: readonly TaskPolicy[];
  /** In their place: an earlier core's, whose schemas are compiled already. */
  readonly definitions?: DefinitionRegistry;
  readonly window?: WindowLimits;
  readonly quotas?: { total: number; perOwner: number };
  /** It goes with the core. Default: a new embedded one. */
  readonly hub?: Broker;
  /** Default: a ManualClock. */
  readonly clock?: Clock;
  /** Hand on an earlier core's, or ids repeat. */
  readonly random?: Random;
  /** Leave the recorder and the reconciler unstarted. */
  readonly idle?: boolean;
  /** What the threads of the process before left word of. */
  readonly wasRunning?: (ref: JobRef) => boolean;
}

export interface Notice {
  readonly kind: "transition" | "progress";
  readonly task: StoredTask;
  readonly result: string | null;
}

/** What users would be told, in order; tests wait on it. */
export class Notices {
  readonly all: Notice[] = [];
  /** What was told of workflows. */
  readonly workflows: StoredWorkflow[] = [];
  #waiting: (() => void)[] = [];

  transition(task: StoredTask, result: string | null): void {
    this.#add({ kind: "transition", task, result });
  }

  progress(task: StoredTask): void {
    this.#add({ kind: "progress", task, result: null });
  }

  workflow(workflow: StoredWorkflow): void {
    this.workflows.push(workflow);
    this.#wake();
  }

  /** Resolves once `done` holds; looked at with each notice. */
  async until(done: () => boolean): Promise<void> {
    while (!done()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** The stored transitions of one task, by status. */
  statuses(id: string): Status[] {
    return this.all.filter(({ kind, task }) => kind === "transition" && task.id === id).map(({ task }) => task.status);
  }

  /** Resolves with the task once it has been told to be in this status for the `count`th time. */
  async status(id: string, status: Status, count = 1): Promise<StoredTask> {
    await this.until(() => this.statuses(id).filter((each) => each === status).length >= count);
    return this.all.findLast(({ task }) => task.id === id && task.status === status)?.task as StoredTask;
  }

  /** Resolves with the task once it has ended. */
  async ended(id: string): Promise<StoredTask> {
    const end = () => this.all.find(({ task }) => task.id === id && isTerminal(task.status))?.task;
    await this.until(() => end() !== undefined);
    return end() as StoredTask;
  }

  #add(notice: Notice): void {
    this.all.push(notice);
    this.#wake();
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

/** The service as compose.ts wires it, with the embedded broker and a real file, but no workers and no HTTP. */
export async function openCore(options: CoreOptions = {}) {
  const directory = mkdtempSync(join(tmpdir(), "artel-core-"));
  const file = options.file ?? join(directory, "artel.db");
  if (options.file === undefined) await Bun.write(file, emptyDatabase());
  const database = openDatabase(file);
  const { db } = database;
  const clock = options.clock ?? new ManualClock();
  const random = options.random ?? new CountingRandom();
  const { log, lines } = recordingLog();
  const store = new SqliteTasks(db, () => random.uuid());
  const work = new SqliteUnitOfWork(db, () => store.forget());
  const hub: Broker = options.hub ?? new EmbeddedBroker({ clock, epoch: random.uuid() });
  const window = new Window(options.window);
  const quotas = new Quotas(store, options.quotas ?? { total: 1_000_000, perOwner: 1_000_000 });
  const notifier = new Notices();
  quotas.load();
  const dispatcher = new Dispatcher({ hub, store, work, window, counters: [quotas], log });
  const definitions = options.definitions ?? new DefinitionRegistry(options.policies ?? [policy("job"), policy("other")]);
  const policies = () => definitions.all();
  const pauses = new Pauses({ store: new SqlitePauses(preparedOn(db)), work, hub, window, dispatcher, policies, clock });
  const waiting = new Waiting({
    hub,
    pauses,
    staffing: new Staffing(hub, clock),
    window,
    limitsOf: (name) => definitions.get(name)?.policy,
    ownerOf: (id) => [ANNA, BEN, ADMIN].find((each) => each.id === id)?.n,
    clock,
  });
  const workflowStore = new SqliteWorkflows(db, store.reader);
  const shared = { store, workflows: workflowStore, work, hub, dispatcher, definitions, notifier, quotas, clock, log };
  const onPutOff = (at: number): void => scheduler.expect(at);
  const { unique, feed, members, intake } = openWorkflows({ ...shared, onPutOff });
  const scheduler: Scheduler = new Scheduler({ ...shared, members });
  const recorder = new Recorder({ ...shared, members, onPutOff });
  const reconciler = new Reconciler({ ...shared, recorder, members, wasRunning: options.wasRunning });
  const tasks = new Tasks({ ...shared, recorder, scheduler, waiting, unique, members });
  const workflows = new Workflows({ ...shared, recorder, members, intake });
  pauses.load();
  dispatcher.load();
  if (!options.idle) {
    await workflows.start();
    await feed.start();
    recorder.start();
    await reconciler.start();
  }
  const parts = {
    db,
    clock,
    random,
    log,
    lines,
    store,
    work,
    hub,
    window,
    quotas,
    dispatcher,
    scheduler,
    recorder,
    reconciler,
    definitions,
    pauses,
    waiting,
    members,
    feed,
    tasks,
    workflowStore,
    workflows,
  };
  return {
    ...parts,
    notices: notifier,
    /** A file as a crash at this moment would leave it: what is committed, and nothing else. */
    snapshot(): string {
      const file = join(directory, `crash-${random.uuid()}.db`);
      db.run(`VACUUM INTO '${file}'`);
      return file;
    },
    /** As a worker claims: answers once the recorder has stored that they started. */
    async claim(max = 1, worker = "w", alone = false): Promise<readonly Job[]> {
      const jobs = await hub.claim({ worker, max, alone, tasks: definitions.all().map(({ name }) => name) });
      await recorder.drained();
      return jobs;
    },
    /** Ends a job as its worker does, and waits until that is recorded. */
    async settle(outcome: Outcome, worker = "w"): Promise<void> {
      await hub.settle(worker, [outcome]);
      await recorder.drained();
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await reconciler.stop();
      await scheduler.stop();
      await recorder.stop();
      feed.stop();
      await hub.stop();
      database.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

export type Core = Awaited<ReturnType<typeof openCore>>;

/** The clock of a core that was opened without one. */
export const manual = (core: Core): ManualClock => core.clock as ManualClock;

export const done = (ref: JobRef, result = "null"): Outcome => ({ kind: "done", id: ref.id, fence: ref.fence, at: 1, result });
export const failed = (ref: JobRef, retryInMs: number | null): Outcome => ({
  kind: "failed",
  id: ref.id,
  fence: ref.fence,
  at: 1,
  error: { code: "error", message: "it broke" },
  retryInMs,
});
export const released = (ref: JobRef): Outcome => ({ kind: "released", id: ref.id, fence: ref.fence, at: 1 });
export const suspected = (ref: JobRef): Outcome => ({ kind: "suspected", id: ref.id, fence: ref.fence, at: 1 });

let empty: Uint8Array | undefined;

/** A migrated database with the three accounts, as bytes: migrating once a process is enough. */
function emptyDatabase(): Uint8Array {
  if (empty) return empty;
  const { db, close } = openDatabase(":memory:");
  migrateUp(db);
  const insert = db.query("INSERT INTO accounts (n, id, email, password_hash, role, created_at) VALUES (?, ?, ?, 'x', ?, 0)");
  for (const { n, id, admin } of [ANNA, BEN, ADMIN]) insert.run(n, id, `${id}@example.org`, admin ? "admin" : "user");
  empty = db.serialize();
  close();
  return empty;
}
