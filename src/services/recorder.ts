import { Unavailable } from "../domain/errors.ts";
import * as life from "../domain/task.ts";
import type { BrokerEvent, BrokerHub, Offset, ProgressReport, Unsubscribe } from "../ports/broker.ts";
import type { Notifier } from "../ports/notices.ts";
import type { Log, Service } from "../ports/runtime.ts";
import type { StoredTask, TaskStore, Transaction, UnitOfWork } from "../ports/tasks.ts";
import type { Dispatcher } from "./dispatcher.ts";
import { type MemberRules, Transitions } from "./transitions.ts";

/** Events stored in one transaction. */
const PAGE_EVENTS = 1_000;
/** After a failed commit (a full disk), how long until the next try, in milliseconds. */
const RETRY_MS = 500;
/** Events that are stored the broker may forget; it hears of that so much later, in milliseconds. */
const ACKNOWLEDGE_MS = 20;
/** Progress of a running task is written to its row at most this often, in milliseconds. */
const PROGRESS_SAVE_MS = 1_000;

interface Parts {
  readonly hub: BrokerHub;
  readonly store: TaskStore;
  readonly work: UnitOfWork;
  readonly dispatcher: Dispatcher;
  readonly notifier: Notifier;
  readonly members: MemberRules;
  readonly log: Log;
  /** Told when a task has been put off to a time. */
  readonly onPutOff: (runAt: number) => void;
}

/**
 * Reads the broker's events and makes them rows: the only one that applies an outcome, and only while the task is not
 * terminal and the fence matches. What it stores and how far it has read commit together, so reading twice changes nothing.
 */
export class Recorder implements Service {
  readonly #parts: Parts;
  #offset: Offset | null = null;
  #pumping: Promise<void> | undefined;
  #again = false;
  /** Pages are read until there is none: the broker may hand out only part of what it has. */
  #toTheEnd = false;
  #acknowledging: Promise<unknown> = Promise.resolve();
  #unacknowledged: Offset | undefined;
  #acknowledgeTimer: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;
  #healthy = true;
  readonly #subscriptions: Unsubscribe[] = [];
  /** Running tasks whose row lags behind their progress. */
  readonly #unsaved = new Map<string, StoredTask>();
  /** Progress that came before its task's start was recorded. */
  readonly #early = new Map<string, ProgressReport>();
  #saving: ReturnType<typeof setInterval> | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  start(): void {
    const { hub, store } = this.#parts;
    this.#offset = store.offset(hub.kind);
    this.#subscriptions.push(
      hub.onEvents(() => this.#poke()),
      hub.onProgress((reports) => this.#progress(reports)),
    );
    this.#saving = setInterval(() => this.saveProgress(), PROGRESS_SAVE_MS);
    this.#poke();
  }

  async stop(): Promise<void> {
    for (const unsubscribe of this.#subscriptions.splice(0)) unsubscribe();
    clearInterval(this.#saving);
    await this.drained();
    this.#stopped = true;
    clearTimeout(this.#retry);
  }

  /** Why what the broker tells cannot be stored; undefined: it can. */
  get trouble(): string | undefined {
    return this.#healthy ? undefined : "what becomes of tasks cannot be recorded";
  }

  /** Resolves when every event that the broker has now is stored (or could not be). */
  async drained(): Promise<void> {
    this.#toTheEnd = true;
    this.#poke();
    while (this.#pumping !== undefined) await this.#pumping;
    this.#toTheEnd = false;
    this.#acknowledge();
    await this.#acknowledging;
  }

  /** Writes the latest progress of running tasks to their rows. */
  saveProgress(): void {
    if (this.#unsaved.size === 0) return;
    const tasks = [...this.#unsaved.values()];
    this.#unsaved.clear();
    this.#parts.work
      .grouped(() => {
        for (const task of tasks) this.#parts.store.saveProgress(task);
      })
      .catch((error: unknown) => {
        if (!(error instanceof Unavailable)) this.#parts.log.warn("could not save progress", { error: String(error) });
      });
  }

  #poke(): void {
    if (this.#stopped) return;
    this.#again = true;
    this.#pumping ??= this.#pump();
  }

  /** Is over in the very step in which it sees that there is no more: what came up in between would be left lying. */
  async #pump(): Promise<void> {
    try {
      while (this.#again && !this.#stopped) {
        this.#again = false;
        await this.#record();
        this.#healthy = true;
      }
    } catch (error) {
      this.#healthy = false;
      // What cannot be reached says so itself.
      if (!(error instanceof Unavailable)) this.#parts.log.error("could not record", { error: String(error) });
      clearTimeout(this.#retry);
      this.#retry = setTimeout(() => this.#poke(), RETRY_MS);
    } finally {
      this.#pumping = undefined;
    }
  }

  async #record(): Promise<void> {
    const { hub, store, work } = this.#parts;
    const page = await hub.events(this.#offset, PAGE_EVENTS, this.#toTheEnd);
    if (page.events.length === 0) {
      this.#offset = page.offset;
      this.#again ||= page.more;
      this.#toTheEnd &&= page.more;
      return;
    }
    const idle: string[] = [];
    await work.grouped((tx) => {
      idle.length = 0;
      const transitions = new Transitions(this.#parts, tx);
      for (const event of page.events) {
        if (event.kind === "started" && this.#hasEnded(transitions, event.id)) idle.push(event.id);
        else this.#apply(transitions, tx, event);
      }
      transitions.store();
      store.saveOffset(hub.kind, page.offset);
    });
    this.#offset = page.offset;
    this.#acknowledgeSoon(page.offset);
    // The broker had not heard of their end: what a worker does for them is for nothing.
    if (idle.length > 0) await hub.cancel(idle);
    this.#again ||= page.more || this.#toTheEnd;
  }

  /** What the broker may forget it is told in one word for many pages, and no page waits for that. */
  #acknowledgeSoon(offset: Offset): void {
    this.#unacknowledged = offset;
    this.#acknowledgeTimer ??= setTimeout(() => this.#acknowledge(), ACKNOWLEDGE_MS);
  }

  #acknowledge(): void {
    clearTimeout(this.#acknowledgeTimer);
    this.#acknowledgeTimer = undefined;
    const offset = this.#unacknowledged;
    if (!offset) return;
    this.#unacknowledged = undefined;
    this.#acknowledging = Promise.all([this.#acknowledging, this.#parts.hub.acknowledge(offset)]);
  }

  #hasEnded(transitions: Transitions, id: string): boolean {
    const task = transitions.get(id);
    return task !== undefined && life.isTerminal(task.status);
  }

  #apply(transitions: Transitions, tx: Transaction, event: BrokerEvent): void {
    const stored = transitions.get(event.id);
    if (!stored) return;
    // A transition keeps the latest progress and message, which may not be in the row yet.
    const task = withLast(this.current(stored), event);
    if (!life.accepts(task, event.fence)) return;
    if (event.kind === "log" || ("log" in event && event.log)) this.#parts.store.appendLog(task.n, event.log ?? []);
    const next = this.#next(task, event);
    if (!next) return;
    if (next.status !== "in progress") this.#forgetProgress(task.id);
    const result = event.kind === "done" ? event.result : null;
    const staged = transitions.stage(task, next, result, event.kind === "log" ? task.createdAt : event.at);
    if (next.status === "in progress") tx.afterCommit(() => this.#tellEarly(staged));
    if (next.status === "retrying") tx.afterCommit(() => this.#parts.onPutOff(next.runAt));
  }

  /** The transition that an event asks for; undefined: none. */
  #next(task: StoredTask, event: BrokerEvent): StoredTask | undefined {
    switch (event.kind) {
      case "started":
        return task.status === "queued" ? life.start(task, event.at) : undefined;
      case "done":
        return life.complete(task, event.at);
      case "failed":
        return life.failAttempt(task, event.at, event.error, event.retryInMs);
      case "cancelled":
        return life.cancel(task, event.at);
      case "released":
        return life.release(task, event.at);
      case "lost":
        return life.orphan(task, event.at);
      case "suspected":
        return life.suspect(task, event.at);
      case "log":
        return undefined;
    }
  }

  #progress(reports: readonly ProgressReport[]): void {
    for (const { id, fence, progress, message, at } of reports) {
      const task = this.#parts.store.get(id);
      if (!task || !life.accepts(task, fence)) continue;
      if (task.status === "queued") {
        this.#early.set(id, { id, fence, progress, message, at });
        // Its start may be kept back.
        this.#toTheEnd = true;
        this.#poke();
      }
      if (task.status !== "in progress") continue;
      const current = { ...task, ...life.report(task, progress, message) };
      this.#unsaved.set(id, current);
      this.#parts.notifier.progress(current, at);
    }
  }

  /** Right after the start; not where the same commit changed the task once more, which is told after this, with its progress. */
  #tellEarly(started: StoredTask): void {
    const early = this.#early.get(started.id);
    this.#early.delete(started.id);
    if (early && this.#parts.store.get(started.id)?.seq === started.seq) this.#progress([early]);
  }

  #forgetProgress(id: string): void {
    this.#unsaved.delete(id);
    this.#early.delete(id);
  }

  /** A running task with the progress that its row may not show yet. */
  current<T extends StoredTask>(task: T): T {
    const early = this.#early.get(task.id);
    if (early && task.status === "in progress" && early.fence === task.fence) {
      return { ...task, ...life.report(task, early.progress, early.message) };
    }
    const newer = this.#unsaved.get(task.id);
    return newer && newer.seq === task.seq ? { ...task, progress: newer.progress, message: newer.message } : task;
  }
}

/** With the progress that came only with the outcome. */
function withLast(task: StoredTask, event: BrokerEvent): StoredTask {
  const last = "last" in event ? event.last : undefined;
  return last ? { ...task, ...life.report(task, last.progress, last.message) } : task;
}
