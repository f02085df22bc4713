import { TooMany } from "../domain/errors.ts";
import { isTerminal, type Task } from "../domain/task.ts";
import type { TaskStore } from "../ports/tasks.ts";

/** When to try again after `queue_full`: about the time in which some tasks end, in milliseconds. */
const RETRY_AFTER_MS = 5_000;

/** How many tasks may wait or run, in all and per owner. Counted once from the rows, then followed. */
export class Quotas {
  readonly #store: TaskStore;
  readonly #limits: { total: number; perOwner: number };
  readonly #byOwner = new Map<number, number>();
  #total = 0;

  constructor(store: TaskStore, limits: { total: number; perOwner: number }) {
    this.#store = store;
    this.#limits = limits;
  }

  load(): void {
    this.#total = this.#store.countPending();
  }

  get total(): number {
    return this.#total;
  }

  /** @throws TooMany `queue_full` when `count` more tasks of this owner would be too many; 0: when there are too many already */
  check(owner: number, count: number): void {
    const own = this.#of(owner);
    if (own + count > this.#limits.perOwner)
      throw full(`that would be ${own + count} unfinished tasks; ${this.#limits.perOwner} are allowed`);
    if (this.#total + count > this.#limits.total) throw full("the service holds as many unfinished tasks as it is set to");
  }

  /** Follows a stored change; with the two exchanged it takes the change back. */
  moved(before: Task | null, after: Task | null): void {
    const by = pending(after) - pending(before);
    const owner = (after ?? before)?.owner;
    if (by === 0 || owner === undefined) return;
    this.#total += by;
    const own = this.#byOwner.get(owner);
    // An owner that was never asked about is counted from the rows when it is.
    if (own === undefined) return;
    if (own + by === 0) this.#byOwner.delete(owner);
    else this.#byOwner.set(owner, own + by);
  }

  #of(owner: number): number {
    let own = this.#byOwner.get(owner);
    if (own === undefined) {
      own = this.#store.countPending(owner);
      this.#byOwner.set(owner, own);
    }
    return own;
  }
}

const pending = (task: Task | null): number => (task !== null && !isTerminal(task.status) ? 1 : 0);
const full = (why: string): TooMany => new TooMany("queue_full", why, RETRY_AFTER_MS);
