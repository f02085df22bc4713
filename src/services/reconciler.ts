import { Unavailable } from "../domain/errors.ts";
import { lose, orphan } from "../domain/task.ts";
import { type BrokerHub, type JobRef, LEASE_MS, type Unsubscribe } from "../ports/broker.ts";
import type { Notifier } from "../ports/notices.ts";
import type { Clock, Log, Service } from "../ports/runtime.ts";
import type { TaskStore, TaskWithBody, UnitOfWork } from "../ports/tasks.ts";
import type { Dispatcher } from "./dispatcher.ts";
import type { Recorder } from "./recorder.ts";
import { type MemberRules, Transitions } from "./transitions.ts";

/** How often rows and broker are compared, in milliseconds. */
const EVERY_MS = 30_000;
const PAGE_ROWS = 500;
/** A look that waits for a lease to be over comes so much later, in milliseconds. */
const SLACK_MS = 100;

interface Parts {
  readonly hub: BrokerHub;
  readonly store: TaskStore;
  readonly work: UnitOfWork;
  readonly dispatcher: Dispatcher;
  readonly recorder: Recorder;
  readonly notifier: Notifier;
  readonly members: MemberRules;
  /** Whether a dispatch was running when the last process ended; undefined: nobody knows, so all in progress may have. */
  readonly wasRunning?: ((ref: JobRef) => boolean) | undefined;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Compares what the rows say the broker holds with what it does hold, and mends the difference: queued jobs are sent
 * again; running ones that it does not know are lost, at once where the process that ran them is known to be gone.
 */
export class Reconciler implements Service {
  readonly #parts: Parts;
  #timer: ReturnType<typeof setInterval> | undefined;
  #running: Promise<void> | undefined;
  #again = false;
  #stopped = false;
  /** The next look at running dispatches that the broker did not know. */
  #later: ReturnType<typeof setTimeout> | undefined;
  #unsubscribe: Unsubscribe | undefined;
  /** Running dispatches that the broker did not know, and since when. */
  #missingSince = new Map<string, number>();
  /** When the broker came back or forgot what it held: whoever runs something gets a lease from then on to say so. */
  #readyAt = 0;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** The embedded broker's workers died with the last process: what was in progress then, died with it. */
  async start(): Promise<void> {
    const { hub, clock } = this.#parts;
    this.#unsubscribe = hub.onReady(() => {
      this.#readyAt = clock.now();
      void this.reconcile();
    });
    if (hub.kind === "embedded") await this.#pass(true);
    else void this.reconcile();
    this.#timer = setInterval(() => void this.reconcile(), EVERY_MS);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#timer);
    clearTimeout(this.#later);
    this.#unsubscribe?.();
    this.#again = false;
    await this.#running;
  }

  /** Compares; once more after a comparison that is under way, which may have begun too early. Never rejects. */
  reconcile(): Promise<void> {
    this.#again = true;
    this.#running ??= this.#passes().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #passes(): Promise<void> {
    while (this.#again) {
      this.#again = false;
      if (this.#parts.hub.trouble() !== undefined) return;
      try {
        await this.#pass(false);
      } catch (error) {
        // Where the broker went away meanwhile, its return is told.
        if (!(error instanceof Unavailable)) this.#parts.log.warn("could not reconcile", { error: String(error) });
      }
    }
  }

  async #pass(workersDied: boolean): Promise<void> {
    const { hub, store, recorder, dispatcher } = this.#parts;
    await hub.reap();
    await recorder.drained();
    const stillMissing = new Map<string, number>();
    for (const rows of store.dispatched(PAGE_ROWS)) {
      const missing = new Set((await hub.missing(rows)).map((ref) => ref.id));
      // What changed while the broker was asked is looked at next time.
      const unknown = rows.filter((row) => missing.has(row.id) && store.get(row.id)?.seq === row.seq);
      await this.#tellCancelled(rows);
      const died = new Set(workersDied ? unknown.filter((row) => this.#ranAtTheEnd(row)) : []);
      const others = unknown.filter((row) => !died.has(row));
      const running = others.filter((row) => row.status === "in progress");
      await dispatcher.resend(others.filter((row) => row.status === "queued"));
      await this.#lose([...died], true);
      await this.#lose(workersDied ? running : this.#overdue(running, stillMissing), false);
    }
    this.#missingSince = stillMissing;
    clearTimeout(this.#later);
    if (stillMissing.size > 0 && !this.#stopped) this.#later = setTimeout(() => void this.reconcile(), LEASE_MS + SLACK_MS);
  }

  #ranAtTheEnd(row: TaskWithBody): boolean {
    const { wasRunning } = this.#parts;
    return wasRunning ? wasRunning(row) : row.status === "in progress";
  }

  /** The broker may have been out of reach when they were cancelled. */
  async #tellCancelled(rows: readonly TaskWithBody[]): Promise<void> {
    const ids = rows.filter((row) => row.cancelRequested && this.#parts.store.get(row.id)?.seq === row.seq).map((row) => row.id);
    if (ids.length > 0) await this.#parts.hub.cancel(ids);
  }

  /** A worker that still runs a job says so within a lease; only then is a silent one lost. */
  #overdue(running: readonly TaskWithBody[], stillMissing: Map<string, number>): TaskWithBody[] {
    const now = this.#parts.clock.now();
    return running.filter((row) => {
      const key = `${row.id} ${row.fence}`;
      const since = Math.max(this.#missingSince.get(key) ?? now, this.#readyAt);
      stillMissing.set(key, since);
      return now - since > LEASE_MS;
    });
  }

  async #lose(rows: readonly TaskWithBody[], died: boolean): Promise<void> {
    if (rows.length === 0) return;
    const { work, store, clock } = this.#parts;
    await work.grouped((tx) => {
      const now = clock.now();
      const transitions = new Transitions(this.#parts, tx);
      for (const row of rows) {
        const task = store.get(row.id);
        // Its outcome may have been recorded since the row was read.
        if (task?.seq === row.seq) transitions.stage(task, died ? orphan(task, now) : lose(task, now), null, now);
      }
      transitions.store();
    });
    this.#parts.log.warn("tasks lost their worker", { tasks: rows.length, died });
  }
}
