import { Unavailable } from "../domain/errors.ts";
import { comeDue } from "../domain/task.ts";
import type { Notifier } from "../ports/notices.ts";
import type { Clock, Log, Service } from "../ports/runtime.ts";
import type { TaskStore, UnitOfWork } from "../ports/tasks.ts";
import type { Dispatcher } from "./dispatcher.ts";
import { type MemberRules, Transitions } from "./transitions.ts";

/** Tasks that come due in one transaction. */
const BATCH = 500;
/** setTimeout takes no more than 2^31 - 1 ms, and a clock may jump: look again at least this often, in milliseconds. */
const MAX_WAIT_MS = 60_000;
/** After a failed commit, in milliseconds. */
const RETRY_MS = 500;

interface Parts {
  readonly store: TaskStore;
  readonly work: UnitOfWork;
  readonly dispatcher: Dispatcher;
  readonly notifier: Notifier;
  readonly members: MemberRules;
  readonly clock: Clock;
  readonly log: Log;
}

/** Queues scheduled and retrying tasks when their time has come. The times are rows; this only holds an alarm for the earliest. */
export class Scheduler implements Service {
  readonly #parts: Parts;
  #alarm: ReturnType<typeof setTimeout> | undefined;
  #alarmAt = Number.POSITIVE_INFINITY;
  #running: Promise<void> | undefined;
  #stopped = true;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  start(): void {
    this.#stopped = false;
    this.#setAlarm();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#alarm);
    this.#alarmAt = Number.POSITIVE_INFINITY;
    await this.#running;
  }

  /** A task has been put off to `runAt` (milliseconds since 1970 UTC). */
  expect(runAt: number): void {
    if (!this.#stopped && runAt < this.#alarmAt) this.#wake(runAt);
  }

  /** Queues everything that is due now. @returns how many tasks it queued */
  async tick(): Promise<number> {
    const { store, work, clock } = this.#parts;
    let queued = 0;
    for (let batch = BATCH; batch === BATCH; queued += batch) {
      batch = await work.grouped((tx) => {
        const now = clock.now();
        const due = store.due(now, BATCH);
        const transitions = new Transitions(this.#parts, tx);
        for (const task of due) transitions.stage(task, comeDue(task), null, now);
        transitions.store();
        return due.length;
      });
    }
    return queued;
  }

  #setAlarm(): void {
    const now = this.#parts.clock.now();
    this.#wake(Math.min(this.#parts.store.nextDueAt() ?? Number.POSITIVE_INFINITY, now + MAX_WAIT_MS));
  }

  #wake(at: number): void {
    clearTimeout(this.#alarm);
    this.#alarmAt = at;
    this.#alarm = setTimeout(() => this.#ring(), Math.max(0, at - this.#parts.clock.now()));
  }

  #ring(): void {
    if (this.#running || this.#stopped) return;
    this.#running = this.#round().finally(() => {
      this.#running = undefined;
    });
  }

  async #round(): Promise<void> {
    try {
      await this.tick();
      if (!this.#stopped) this.#setAlarm();
    } catch (error) {
      // What cannot be reached says so itself.
      if (!(error instanceof Unavailable)) this.#parts.log.error("could not queue due tasks", { error: String(error) });
      if (!this.#stopped) this.#wake(this.#parts.clock.now() + RETRY_MS);
    }
  }
}
