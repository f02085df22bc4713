import { Unavailable } from "../domain/errors.ts";
import type { Clock, Log, Service } from "../ports/runtime.ts";
import type { TaskStore, UnitOfWork } from "../ports/tasks.ts";

/** How often old tasks are looked for, in milliseconds: no task stays for more than a quarter longer than it should. */
const everyMs = (retentionMs: number): number => Math.min(60_000, Math.max(500, retentionMs / 4));
/** Rows removed in one transaction: a few milliseconds. */
const STEP_ROWS = 500;

interface Parts {
  readonly store: TaskStore;
  readonly work: UnitOfWork;
  readonly clock: Clock;
  /** Ended tasks are kept for this long, in milliseconds. */
  readonly retentionMs: number;
  /** Removes ended sessions. @returns how many rows went */
  readonly purgeSessions: (limit: number) => number;
  readonly log: Log;
}

/** Removes what is past its time, in small steps between which everything else has its turn. */
export class Retention implements Service {
  readonly #parts: Parts;
  #timer: ReturnType<typeof setInterval> | undefined;
  #running: Promise<void> | undefined;
  #stopped = false;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  start(): void {
    this.#timer = setInterval(() => this.#soon(), everyMs(this.#parts.retentionMs));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#timer);
    await this.#running;
  }

  /** Removes everything that is past its time. @returns how many tasks went */
  async sweep(): Promise<number> {
    const { store, work, clock, retentionMs, purgeSessions } = this.#parts;
    const before = clock.now() - retentionMs;
    let removed = 0;
    for (let after: number | null = 0; after !== null && !this.#stopped; ) {
      const from: number = after;
      const step = await work.grouped(() => store.purge(before, from, STEP_ROWS));
      removed += step.removed;
      after = step.next;
    }
    for (let count = STEP_ROWS; count >= STEP_ROWS && !this.#stopped; ) count = purgeSessions(STEP_ROWS);
    return removed;
  }

  #soon(): void {
    this.#running ??= this.sweep()
      .then((removed) => removed > 0 && this.#parts.log.info("removed old tasks", { tasks: removed }))
      .catch((error: unknown) => {
        // What cannot be reached says so itself.
        if (!(error instanceof Unavailable)) this.#parts.log.error("could not remove old tasks", { error: String(error) });
      })
      .then(() => {
        this.#running = undefined;
      });
  }
}
