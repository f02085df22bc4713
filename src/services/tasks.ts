import type { TaskPolicy } from "../domain/definition.ts";
import { Conflict, InvalidInput, NotFound } from "../domain/errors.ts";
import type { Priority, Status } from "../domain/task.ts";
import * as life from "../domain/task.ts";
import type { BrokerHub, LogLine } from "../ports/broker.ts";
import type { Definitions, KnownTask } from "../ports/definitions.ts";
import type { Notifier } from "../ports/notices.ts";
import type { Clock } from "../ports/runtime.ts";
import type { KeyedTask, Page, StoredTask, TaskStore, TaskWithBody, Transaction, UnitOfWork } from "../ports/tasks.ts";
import type { Dispatcher } from "./dispatcher.ts";
import type { Members } from "./members.ts";
import type { Quotas } from "./quotas.ts";
import type { Recorder } from "./recorder.ts";
import type { Scheduler } from "./scheduler.ts";
import { Transitions } from "./transitions.ts";
import { digestOf, type UniqueKeys, uniqueKey } from "./unique-keys.ts";
import type { Waiting } from "./waiting.ts";

/** Whose tasks a call may touch. */
export interface Caller {
  /** The account's integer key. */
  readonly n: number;
  /** The account's UUID. */
  readonly id: string;
  readonly admin: boolean;
}

export interface SubmitOptions {
  /** Not run before this many milliseconds have passed. Default 0. */
  readonly delayMs?: number;
  readonly priority?: Priority;
  /** Repeats with the same key, by the same caller for the same task, get the first one's task. */
  readonly idempotencyKey?: string;
}

/** One key stands for one task, so there is none for many. */
export type BatchOptions = Omit<SubmitOptions, "idempotencyKey">;

export interface ListQuery {
  readonly status?: Status;
  readonly name?: string;
  /** An account's key, or "all"; admins only. Default: the caller's own. */
  readonly owner?: number | "all";
  readonly before?: number;
  readonly limit: number;
}

interface Parts {
  readonly store: TaskStore;
  readonly work: UnitOfWork;
  readonly definitions: Definitions;
  readonly dispatcher: Dispatcher;
  readonly recorder: Recorder;
  readonly scheduler: Scheduler;
  readonly notifier: Notifier;
  readonly hub: BrokerHub;
  readonly quotas: Quotas;
  readonly waiting: Pick<Waiting, "why">;
  readonly unique: UniqueKeys;
  readonly members: Members;
  readonly clock: Clock;
}

/** What users do with tasks. Whatever it answers has been committed. */
export class Tasks {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  definitions(): readonly TaskPolicy[] {
    return this.#parts.definitions.all();
  }

  /**
   * Accepts one task.
   *
   * @throws NotFound `unknown_task`; InvalidInput `invalid_input`; Conflict `idempotency_conflict`; TooMany `queue_full`; Unavailable
   */
  async submit(caller: Caller, name: string, input: unknown, options: SubmitOptions = {}): Promise<StoredTask> {
    const known = this.#known(name);
    const problems = known.check(input);
    refuse(name, problems instanceof Promise ? await problems : problems);
    const args = JSON.stringify(input);
    return this.#parts.work.grouped((tx) => {
      const repeated =
        options.idempotencyKey === undefined ? undefined : this.#repeated(caller, name, options.idempotencyKey, args);
      return repeated ?? this.#accept(tx, caller, known.policy, args, options);
    });
  }

  /** Accepts a batch: all of it or nothing. Throws as `submit`, with paths that begin with the input's index. */
  async submitBatch(
    caller: Caller,
    name: string,
    inputs: readonly unknown[],
    options: BatchOptions = {},
  ): Promise<readonly StoredTask[]> {
    const known = this.#known(name);
    // Begun together: code that checks gets them as one.
    const checks = inputs.map((input) => known.check(input));
    const found = checks.every(isDone) ? checks : await Promise.all(checks);
    refuse(
      name,
      found.flatMap((problems, i) => problems.map(({ path, message }) => ({ path: `/${i}${path}`, message }))),
    );
    const args = inputs.map((input) => JSON.stringify(input));
    return this.#parts.work.grouped((tx) => {
      this.#parts.quotas.check(caller.n, args.length);
      return args.map((text) => this.#accept(tx, caller, known.policy, text, options));
    });
  }

  /** Accepts one task inside of the caller's transaction; `args`, JSON text, has been checked. Throws NotFound, TooMany as `submit`. */
  accept(tx: Transaction, caller: Caller, name: string, args: string): StoredTask {
    return this.#accept(tx, caller, this.#known(name).policy, args, {});
  }

  list(caller: Caller, query: ListQuery): Page {
    const owner = query.owner === undefined || !caller.admin ? caller.n : query.owner;
    return this.#parts.store.page({ ...query, owner: owner === "all" ? undefined : owner });
  }

  /** @throws NotFound `task_not_found`, for somebody else's task too */
  show(caller: Caller, id: string): TaskWithBody {
    const task = this.#parts.store.withBody(id);
    if (!task || !mayTouch(caller, task)) throw notFound();
    return this.#parts.recorder.current(task);
  }

  /** Why a queued task waits, for its owner; undefined: it does not, or nobody knows. */
  whyWaiting(task: StoredTask): Promise<string | undefined> {
    return this.#parts.waiting.why(task);
  }

  /** @throws NotFound `task_not_found` */
  logs(caller: Caller, id: string): readonly LogLine[] {
    return this.#parts.store.log(this.#own(caller, id).n);
  }

  /**
   * Asks for a task to stop: at once where it waits, as soon as its worker has stopped it where it runs.
   *
   * @throws NotFound `task_not_found`; Conflict `task_ended`
   */
  async cancel(caller: Caller, id: string): Promise<TaskWithBody> {
    await this.#parts.work.grouped((tx) => {
      const task = this.#parts.recorder.current(this.#own(caller, id));
      if (life.isTerminal(task.status)) throw new Conflict("task_ended", `the task is ${task.status} already`);
      const now = this.#parts.clock.now();
      const next = task.status === "in progress" ? life.requestCancel(task) : life.cancel(task, now);
      this.#change(tx, task, next, now);
      // What the broker does not hear now, the reconciler tells it.
      if (task.dispatched) tx.afterCommit(() => void this.#parts.hub.cancel([id]).catch(() => {}));
    });
    return this.show(caller, id);
  }

  /**
   * Runs a task that failed or was cancelled once more, from attempt 1. A member of a workflow waits for those before it
   * again, and so does what was cancelled because of it alone.
   *
   * @throws NotFound `task_not_found`; Conflict `task_not_ended`, `not_unique` where another one took its place,
   *   `waits_for_failed` where one before it in its workflow failed or was cancelled; TooMany `queue_full`
   */
  async retry(caller: Caller, id: string): Promise<TaskWithBody> {
    const { work, definitions, unique, members, quotas, clock } = this.#parts;
    // A member that is let go has its input checked within the transaction, which cannot wait.
    await definitions.prepare();
    await work.grouped((tx) => {
      const task = this.#own(caller, id);
      if (task.status !== "failed" && task.status !== "cancelled") {
        throw new Conflict("task_not_ended", `only a failed or cancelled task can be retried; this one is ${task.status}`);
      }
      if (members.isBlocked(task)) throw waitsForFailed();
      const now = clock.now();
      const transitions = new Transitions(this.#parts, tx);
      if (task.workflow === null) {
        unique.take(task, transitions);
        transitions.stage(task, life.retryByOwner(task, now), null, now);
      } else {
        members.retry(transitions, task, now);
      }
      transitions.store();
      // Only now is it known how many others wait again with it; too many undo the transaction.
      quotas.check(task.owner, 0);
    });
    return this.show(caller, id);
  }

  #change(tx: Transaction, task: StoredTask, next: StoredTask, now: number): void {
    const transitions = new Transitions(this.#parts, tx);
    transitions.stage(task, next, null, now);
    transitions.store();
  }

  #accept(tx: Transaction, caller: Caller, policy: TaskPolicy, args: string, options: SubmitOptions): StoredTask {
    const { store, dispatcher, quotas, notifier, clock, scheduler } = this.#parts;
    const key = uniqueKey(policy, caller.n, args);
    const twin = key === undefined ? undefined : this.#parts.unique.pending(key);
    if (twin) return this.#answer(twin, args, options);
    quotas.check(caller.n, 1);
    const now = clock.now();
    const accepted = life.accept(
      {
        id: store.newId(now),
        owner: caller.n,
        name: policy.name,
        queue: policy.queue,
        priority: options.priority ?? "normal",
        maxAttempts: policy.retry.maxAttempts,
        delayMs: options.delayMs ?? 0,
      },
      now,
    );
    const task = store.insert(dispatcher.place(accepted), store.nextSeq(), caller.id, args, options.idempotencyKey ?? null);
    if (key !== undefined) store.giveKey(key, task);
    dispatcher.follow(tx, null, task, args);
    tx.afterCommit(() => {
      notifier.transition(task, null, now);
      if (task.status === "scheduled") scheduler.expect(task.runAt);
    });
    return task;
  }

  /** With an earlier task, for which the key stands as if it had been made for it. */
  #answer(twin: StoredTask, args: string, { idempotencyKey }: SubmitOptions): StoredTask {
    if (idempotencyKey !== undefined) this.#parts.store.keepAnswer(idempotencyKey, twin, digestOf(JSON.parse(args)));
    return twin;
  }

  /** The task that this key was used for before, if its input was the same. */
  #repeated(caller: Caller, name: string, key: string, args: string): StoredTask | undefined {
    const earlier = this.#parts.store.byIdempotencyKey(caller.n, name, key);
    if (!earlier) return undefined;
    if (!hadInput(earlier, args)) throw new Conflict("idempotency_conflict", "this Idempotency-Key was used with another input");
    return earlier;
  }

  #known(name: string): KnownTask {
    const known = this.#parts.definitions.get(name);
    if (!known) throw new NotFound("unknown_task", `there is no task "${name}"`);
    return known;
  }

  #own(caller: Caller, id: string): StoredTask {
    const task = this.#parts.store.get(id);
    if (!task || !mayTouch(caller, task)) throw notFound();
    return task;
  }
}

/** Whether something of this owner's is a caller's to see and to change. */
export const mayTouch = (caller: Caller, task: { readonly owner: number }): boolean => task.owner === caller.n || caller.admin;

/** Whether a task's key came with this input, as JSON text. */
function hadInput(earlier: KeyedTask, args: string): boolean {
  if (earlier.inputDigest !== null) return earlier.inputDigest === digestOf(JSON.parse(args));
  return earlier.args === args || Bun.deepEquals(JSON.parse(earlier.args), JSON.parse(args));
}

const isDone = <T>(value: T | Promise<T>): value is T => !(value instanceof Promise);

/** One answer for what is not there and for what is somebody else's. */
const notFound = (): NotFound => new NotFound("task_not_found", "there is no such task");

const waitsForFailed = (): Conflict =>
  new Conflict("waits_for_failed", "a task before it in its workflow failed or was cancelled: retry that one, or the workflow");

function refuse(name: string, problems: readonly { path: string; message: string }[]): void {
  if (problems.length > 0) throw new InvalidInput("invalid_input", `the input does not fit the task "${name}"`, problems);
}
