import { Unavailable } from "../domain/errors.ts";
import { dispatch, type Task } from "../domain/task.ts";
import type { BrokerHub, Job } from "../ports/broker.ts";
import type { Log } from "../ports/runtime.ts";
import type { StoredTask, TaskStore, TaskWithBody, Transaction, UnitOfWork } from "../ports/tasks.ts";
import type { Window } from "./window.ts";

/** Rows moved into the window in one transaction: long enough to be cheap, short enough to keep requests waiting for less than a few ms. */
const FEED_ROWS = 500;
/** After a feed that could not be stored (a full disk), in milliseconds. */
const RETRY_MS = 500;

/** Follows stored changes; called with the two exchanged it takes one back. */
export interface Counter {
  moved(before: Task | null, after: Task | null): void;
}

/**
 * Hands queued rows to the broker: at once while the window has room, later as lanes drain. Everything is decided
 * inside the caller's transaction and sent after its commit.
 */
export class Dispatcher {
  readonly #hub: BrokerHub;
  readonly #store: TaskStore;
  readonly #work: UnitOfWork;
  readonly #window: Window;
  readonly #counters: readonly Counter[];
  readonly #log: Log;
  #outbox: Job[] = [];
  #feeding = false;
  /** The transaction after which lanes are looked at already. */
  #following: Transaction | undefined;

  /** @param parts.counters whatever else keeps count of tasks: they follow every stored change */
  constructor(parts: {
    hub: BrokerHub;
    store: TaskStore;
    work: UnitOfWork;
    window: Window;
    counters: readonly Counter[];
    log: Log;
  }) {
    this.#hub = parts.hub;
    this.#store = parts.store;
    this.#work = parts.work;
    this.#window = parts.window;
    this.#counters = [parts.window, ...parts.counters];
    this.#log = parts.log;
  }

  /** Counts what the database holds; before anything else uses the dispatcher. */
  load(): void {
    for (const { count, dispatched, ...lane } of this.#store.queuedLanes()) this.#window.add(lane, dispatched, count);
    this.feed();
  }

  /** A task that has just queued, as it is to be stored: dispatched if the window has room for it. */
  place<T extends Task>(task: T): T {
    return task.status === "queued" && this.#window.admits(task) ? dispatch(task) : task;
  }

  /** Follows a stored change (before null: a new row), and sends the job if the task has just been dispatched. */
  follow(tx: Transaction, before: StoredTask | null, after: StoredTask, args?: string): void {
    for (const counter of this.#counters) counter.moved(before, after);
    tx.onRollback(() => {
      for (const counter of this.#counters) counter.moved(after, before);
    });
    if (before?.dispatched && !after.dispatched) tx.afterCommit(() => this.#window.drops(after.id));
    const sent = after.status === "queued" && after.dispatched && after.fence !== (before?.fence ?? 0);
    if (sent) this.#send(tx, after, args ?? this.#store.withBody(after.id)?.args ?? "null");
    if (this.#following === tx) return;
    this.#following = tx;
    // Not before everything that this commit lets go of is counted: there may be no other one to make up for it.
    tx.afterCommit(() => queueMicrotask(() => this.feed()));
  }

  /** Sends the job of a dispatched row again, at the same fence: the broker does not know it. */
  async resend(tasks: readonly TaskWithBody[]): Promise<void> {
    for (const task of tasks) this.#window.carries(task, task.args.length);
    await this.#hub.enqueue(tasks.map((task) => toJob(task, task.args)));
  }

  /** Moves waiting rows into the window while it has room. */
  feed(): void {
    if (this.#feeding) return;
    const next = this.#window.nextHungry();
    if (!next) return;
    this.#feeding = true;
    const limit = Math.min(next.room, FEED_ROWS);
    this.#work
      .grouped((tx) => {
        for (const task of this.#store.waiting(next.lane, limit, next.bytes)) this.#admit(tx, task);
      })
      .then(() => this.#fed())
      .catch((error: unknown) => {
        // What cannot be reached says so itself.
        if (!(error instanceof Unavailable)) this.#log.error("could not feed the broker", { error: String(error) });
        this.#window.stillHungry(next.lane);
        setTimeout(() => this.#fed(), RETRY_MS).unref();
      });
  }

  #fed(): void {
    this.#feeding = false;
    this.feed();
  }

  #admit(tx: Transaction, { args, result: _, ...before }: TaskWithBody): void {
    const after = dispatch(before);
    this.#store.update(before, after);
    this.follow(tx, before, after, args);
  }

  #send(tx: Transaction, task: StoredTask, args: string): void {
    if (this.#window.carries(task, args.length)) tx.onRollback(() => this.#window.drops(task.id));
    tx.afterCommit(() => {
      if (this.#outbox.push(toJob(task, args)) === 1) queueMicrotask(() => this.#flush());
    });
  }

  #flush(): void {
    const jobs = this.#outbox;
    this.#outbox = [];
    // What the broker does not take now, the reconciler finds missing.
    this.#hub
      .enqueue(jobs)
      .catch((error: unknown) => this.#log.warn("could not enqueue", { jobs: jobs.length, error: String(error) }));
  }
}

function toJob(task: StoredTask, args: string): Job {
  return {
    id: task.id,
    fence: task.fence,
    name: task.name,
    queue: task.queue,
    priority: task.priority,
    owner: task.ownerId,
    attempt: task.attempt,
    maxAttempts: task.maxAttempts,
    alone: task.deaths > 0,
    args,
  };
}
