import { AsyncLocalStorage } from "node:async_hooks";
import type { LogLevel } from "../domain/definition.ts";
import type { Outcome } from "../ports/broker.ts";
import type { Clock, Random } from "../ports/runtime.ts";
import type { Flight } from "./flight.ts";
import type { FromThread, SlotJob, StopReason } from "./messages.ts";
import { Run, type RunHost } from "./run.ts";
import type { Runnable } from "./schemas.ts";
import type { SlotTable } from "./slots.ts";

/** Runs begin one after the other for this long, then outcomes go out and the event loop turns, in milliseconds. */
const BURST_MS = 2;
/** Progress of one task is handed on at most this often, in milliseconds; the first at once. */
const PROGRESS_MS = 100;

type Report = Extract<FromThread, { kind: "report" }>;

interface Parts {
  readonly table: SlotTable;
  /** How many jobs run at the same time. */
  readonly atOnce: number;
  readonly flight?: Flight | undefined;
  readonly load: (name: string) => Runnable | Promise<Runnable>;
  /** Where a task's code lies, if not inside the executable. */
  readonly fileOf: (name: string) => string | undefined;
  readonly send: (message: FromThread) => void;
  readonly fetch: (url: string | URL, init: RequestInit) => Promise<Response>;
  readonly heapBytes: () => number;
  readonly clock: Clock;
  readonly random: Pick<Random, "fraction">;
}

/** Runs jobs in this thread's slots and reports what comes of them in batches. Knows no broker. */
export class Executor implements RunHost {
  readonly clock: Clock;
  readonly random: Pick<Random, "fraction">;
  readonly #parts: Parts;
  readonly #current = new AsyncLocalStorage<Run>();
  readonly #runs = new Map<number, Run>();
  /** Where the code of the runs lies that have ended here. */
  readonly #endedFiles = new Set<string | undefined>();
  #queue: SlotJob[] = [];
  #pumping = false;
  /** When the present burst is over, by performance.now(); 0: none is under way. */
  #burstUntil = 0;
  #ended: { slot: number; outcome: Outcome }[] = [];
  #freed: number[] = [];
  #flushing = false;
  /** When each run's progress was last sent; runs whose latest progress was not. */
  readonly #sentAt = new WeakMap<Run, number>();
  readonly #unsent = new Set<Run>();
  readonly #logged = new Set<Run>();
  #progressTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.clock = parts.clock;
    this.random = parts.random;
  }

  run(jobs: readonly SlotJob[]): void {
    this.#queue.push(...jobs);
    if (!this.#pumping) this.#pump();
  }

  stop(slot: number, id: string, fence: number, reason: StopReason): void {
    const run = this.#runs.get(slot);
    if (run?.job.id === id && run.job.fence === fence) run.stop(reason);
  }

  /** The run whose code is on the stack or was the cause of this callback. */
  current(): Run | undefined {
    return this.#current.getStore();
  }

  running(): readonly Run[] {
    return [...this.#runs.values()];
  }

  progress(run: Run): void {
    this.#unsent.add(run);
    // At once, and not in a later turn: the task may be busy and let no turn come.
    if (this.#mayTell(run)) this.#flush();
    else this.#progressLater();
  }

  logged(run: Run): void {
    this.#logged.add(run);
    this.#flushSoon();
  }

  fetch(url: string | URL, init: RequestInit): Promise<Response> {
    return this.#parts.fetch(url, init);
  }

  /** Whether a run has ended here: any, or one of the code in this file. */
  hasEnded(file?: string): boolean {
    return file === undefined ? this.#endedFiles.size > 0 : this.#endedFiles.has(file);
  }

  /** Sends what has come up outside of any task. */
  line(level: LogLevel, message: string): void {
    this.#parts.send({ kind: "line", level, message });
  }

  /** Begins what waits, as far as there is room; after a while others on this thread have their turn. */
  #pump(): void {
    this.#pumping = true;
    this.#burstUntil ||= performance.now() + BURST_MS;
    while (this.#queue.length > 0 && this.#runs.size < this.#parts.atOnce && performance.now() <= this.#burstUntil) {
      this.#begin(this.#queue.shift() as SlotJob);
    }
    if (this.#queue.length > 0 && this.#runs.size < this.#parts.atOnce) {
      setImmediate(() => {
        this.#burstUntil = 0;
        this.#flush();
        this.#pump();
      });
      return;
    }
    this.#pumping = false;
  }

  /** There is room again: what waits begins in this very turn, so that a burst of short jobs is reported as one. */
  #pumpAgain(): void {
    if (this.#pumping || this.#queue.length === 0) return;
    this.#pumping = true;
    queueMicrotask(() => this.#pump());
  }

  #begin({ slot, job }: SlotJob): void {
    if (!this.#parts.table.begin(slot, this.clock.now())) {
      this.#freed.push(slot);
      return this.#flushSoon();
    }
    this.#parts.flight?.begin(slot, job);
    const run = new Run({ slot, job, file: this.#parts.fileOf(job.name) }, this, (outcome) => this.#end(run, outcome));
    this.#runs.set(slot, run);
    this.#current.run(run, () => void run.execute(() => this.#parts.load(job.name)));
  }

  #end(run: Run, outcome: Outcome): void {
    this.#runs.delete(run.slot);
    this.#endedFiles.add(run.file);
    this.#logged.delete(run);
    this.#parts.table.end(run.slot);
    this.#parts.flight?.end(run.slot);
    const unsent = this.#unsent.delete(run);
    const last = { progress: run.progressShare, message: run.progressMessage };
    this.#ended.push({ slot: run.slot, outcome: unsent ? { ...outcome, last } : outcome });
    this.#flushSoon();
    this.#pumpAgain();
  }

  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    setImmediate(() => this.#flush());
  }

  #flush(): void {
    this.#flushing = false;
    this.#burstUntil = 0;
    const told = [...this.#unsent].filter((run) => this.#mayTell(run));
    if (this.#ended.length + this.#freed.length + told.length + this.#logged.size === 0) return;
    const report: Report = {
      kind: "report",
      ended: this.#ended,
      freed: this.#freed,
      progress: told.map((run) => this.#progressOf(run)),
      log: [...this.#logged].map(takeLines),
      heapBytes: this.#parts.heapBytes(),
    };
    this.#ended = [];
    this.#freed = [];
    this.#logged.clear();
    this.#parts.send(report);
  }

  /** Whether this run's latest progress may be told by now. */
  #mayTell(run: Run): boolean {
    return this.clock.now() - (this.#sentAt.get(run) ?? 0) >= PROGRESS_MS;
  }

  #progressLater(): void {
    this.#progressTimer ??= setTimeout(() => {
      this.#progressTimer = undefined;
      this.#flush();
      if (this.#unsent.size > 0) this.#progressLater();
    }, PROGRESS_MS);
  }

  #progressOf(run: Run): Report["progress"][number] {
    const at = this.clock.now();
    this.#unsent.delete(run);
    this.#sentAt.set(run, at);
    return { id: run.job.id, fence: run.job.fence, progress: run.progressShare, message: run.progressMessage, at };
  }
}

function takeLines(run: Run): Report["log"][number] {
  const log = run.lines;
  run.lines = [];
  return { id: run.job.id, fence: run.job.fence, log };
}
