/**
 * Where tasks are kept. SQLite has one writer, so every call is synchronous and runs on one connection;
 * what must be stored together goes through a `UnitOfWork`.
 */
import type { Status, Task } from "../domain/task.ts";
import type { LogLine, Offset } from "./broker.ts";

/** What hangs on a transaction beside its rows. */
export interface Transaction {
  /** Runs after the commit, in order of registration. */
  afterCommit(effect: () => void): void;
  /** Runs when the transaction is rolled back, last registered first: takes back what was changed in memory. */
  onRollback(undo: () => void): void;
}

export interface UnitOfWork {
  /** Runs `work` in a transaction of its own, committed before it returns. */
  now<T>(work: (tx: Transaction) => T): T;
  /**
   * Runs `work` in the next group commit, together with whatever else was handed in during this turn of the event
   * loop; resolves after the commit. Work that throws is undone alone and rejects.
   */
  grouped<T>(work: (tx: Transaction) => T): Promise<T>;
}

/** A task with the number that orders its stored transitions. */
export interface StoredTask extends Task {
  /** Rises with acceptance; the key of pages. */
  readonly n: number;
  readonly seq: number;
  /** The owner's UUID. */
  readonly ownerId: string;
  /** The id of the workflow that it is a member of; null: of none. */
  readonly workflow: string | null;
}

export interface TaskWithBody extends StoredTask {
  /** JSON text. */
  readonly args: string;
  /** JSON text; null until done. */
  readonly result: string | null;
}

/** A task that an Idempotency-Key stands for. */
export interface KeyedTask extends TaskWithBody {
  /** Of the input that came with the key, where an earlier task was the answer; null: the task was made for it, with its args. */
  readonly inputDigest: string | null;
}

export interface PageQuery {
  /** Undefined: everybody's. */
  readonly owner?: number | undefined;
  readonly status?: Status | undefined;
  readonly name?: string | undefined;
  /** Only tasks with a smaller n. */
  readonly before?: number | undefined;
  readonly limit: number;
}

export interface Page {
  readonly items: readonly StoredTask[];
  /** The `before` of the next page; null: that was the last. A page may hold fewer than `limit` items and still have a next one. */
  readonly next: number | null;
}

/** Tasks whose last stored transition lies behind `after` and not behind `upTo`. */
export interface ChangeQuery {
  readonly after: number;
  readonly upTo: number;
  /** Undefined: everybody's. */
  readonly owner?: number | undefined;
}

export interface ChangedTask extends StoredTask {
  /** JSON text; null until done, and where it is left out. */
  readonly result: string | null;
  /** The result is there but was left out. */
  readonly truncated: boolean;
}

/** (queue, task, priority, owner): the unit of order and of turns. */
export interface Lane {
  readonly queue: string;
  readonly name: string;
  readonly priority: Task["priority"];
  readonly owner: number;
}

export interface LaneCount extends Lane {
  /** Inside the broker's window, or outside. */
  readonly dispatched: boolean;
  readonly count: number;
}

export interface TaskStore {
  /** The next seq; called once a stored transition. */
  nextSeq(): number;
  currentSeq(): number;
  /** Changes when the rows are not the continuation of what a client saw (a new or restored database). */
  readonly epoch: string;
  /** Changes of tasks that retention removed lie at or below this seq. */
  purgedSeq(): number;

  /** An id for a task that is accepted now (milliseconds since 1970 UTC): a UUIDv7; later ones sort after earlier ones. */
  newId(now: number): string;
  /** @param workflow the id of the one that it is to be a member of; see `WorkflowStore.addMember` */
  insert(
    task: Task,
    seq: number,
    ownerId: string,
    args: string,
    idempotencyKey: string | null,
    workflow?: string | null,
  ): StoredTask;
  byIdempotencyKey(owner: number, name: string, key: string): KeyedTask | undefined;
  /** An Idempotency-Key of the task's owner, with an input of this digest, was answered with it and stands for it from now on. */
  keepAnswer(key: string, task: StoredTask, inputDigest: string): void;
  /** The task that was last given this key; see `giveKey`. */
  byUniqueKey(key: string): StoredTask | undefined;
  /** The task has this key from now on. */
  giveKey(key: string, task: StoredTask): void;
  get(id: string): StoredTask | undefined;
  withBody(id: string): TaskWithBody | undefined;
  /** Stores a transition: `seq` is renewed by the caller where a user sees it. */
  update(before: StoredTask, after: StoredTask): void;
  /** Stores the transition to done with its result. */
  complete(before: StoredTask, after: StoredTask, result: string): void;
  /** JSON text takes the place of the task's args. */
  replaceArgs(task: StoredTask, args: string): void;
  /** Progress without a transition: the row alone changes, and only while it is in progress at the task's fence. */
  saveProgress(task: StoredTask): void;

  page(query: PageQuery): Page;
  /** Tasks by when they last changed, in seq order; results over `resultBytes` are left out. */
  changed(query: ChangeQuery, limit: number, resultBytes: number): readonly ChangedTask[];
  /** How many tasks changed, counted up to `limit`. */
  countChanged(query: ChangeQuery, limit: number): number;

  /** Tasks that the broker should hold: dispatched and not terminal. Each page is read when it is asked for. */
  dispatched(pageRows: number): Iterable<readonly TaskWithBody[]>;
  /** Queued rows outside the window, oldest first in their lane: at least one, then until their inputs have so many bytes. */
  waiting(lane: Lane, limit: number, bytes: number): readonly TaskWithBody[];
  /** Queued rows by lane and by side of the window. */
  queuedLanes(): readonly LaneCount[];
  /** Scheduled and retrying tasks whose time has come, earliest first. */
  due(now: number, limit: number): readonly StoredTask[];
  /** When the next one comes due; undefined: none waits. */
  nextDueAt(): number | undefined;
  /** How many tasks have not ended, of one owner or in all. Costs what it counts: for the start, not for every call. */
  countPending(owner?: number): number;
  countInProgress(): number;

  appendLog(n: number, lines: readonly LogLine[]): void;
  log(n: number): readonly LogLine[];

  offset(stream: string): Offset | null;
  saveOffset(stream: string, offset: Offset): void;

  /**
   * Removes up to `limit` tasks that ended before `finishedBefore`, looking from `after` on; a workflow that ended before it goes
   * at once, with all of its tasks, also beyond `limit`.
   * `next`: where to look on; null when nothing older is left.
   */
  purge(finishedBefore: number, after: number, limit: number): { removed: number; next: number | null };
}
