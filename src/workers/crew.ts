import type { Log } from "../ports/runtime.ts";
import { flightFile, removeFlight } from "./flight.ts";
import type { ThreadInit } from "./messages.ts";
import { type HandKind, SlotWorker, type WorkerEvents } from "./slot-worker.ts";

/** A thread is replaced after so many jobs, or when its heap is larger than this after one: leaks do not add up. */
const RECYCLE_JOBS = 500_000;
const RECYCLE_HEAP_BYTES = 1024 * 1024 * 1024;
/** At most so many times as many threads as serve are ending with what they run: each keeps its memory until then. */
const ENDING_CREWS = 3;
/** A thread that is not ready by then is taken for dead, in milliseconds. */
const READY_MS = 30_000;
/** After a thread that died before it was ready, in milliseconds. */
const RESTART_MS = 1_000;

interface Parts {
  readonly kind: HandKind;
  readonly size: number;
  /** What a thread that starts now is started with. */
  readonly init: () => Omit<ThreadInit, "table" | "flight">;
  /** Where threads leave word of what they run; undefined: nowhere. */
  readonly flights?: string | undefined;
  readonly log: Log;
}

/** Keeps a number of threads alive: starts them one at a time, replaces the dead, the worn and the bloated. */
export class Crew {
  readonly #parts: Parts;
  readonly #events: WorkerEvents;
  readonly #workers = new Set<SlotWorker>();
  #starting: SlotWorker | undefined;
  #readyTimer: ReturnType<typeof setTimeout> | undefined;
  #restartTimer: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;
  /** No more threads are started. */
  #quiet = false;
  /** Threads started so far. */
  #count = 0;
  readonly #flightFiles = new Map<SlotWorker, string>();
  /** The latest renewal that waits for old threads to end. */
  #putOff: (() => void) | undefined;

  constructor(parts: Parts, events: Pick<WorkerEvents, "report" | "freed" | "line" | "ended"> & { ready(): void }) {
    this.#parts = parts;
    this.#events = {
      ready: (worker) => {
        this.#started(worker);
        events.ready();
      },
      report: (worker, report) => {
        events.report(worker, report);
        this.#recycle(worker);
      },
      freed: (worker) => {
        events.freed?.(worker);
        this.#recycle(worker);
      },
      line: (worker, line) => events.line(worker, line),
      ended: (worker, left) => {
        this.#workers.delete(worker);
        events.ended(worker, left);
        removeFlight(this.#flightFiles.get(worker) ?? "");
        this.#flightFiles.delete(worker);
        this.#lost(worker);
        this.#catchUp();
      },
    };
  }

  start(): void {
    this.#fill();
  }

  /**
   * Runs what is to renew the crew: at once, or, while too many threads are still ending with what they ran before, as soon as
   * enough of them have. Until then those that serve go on as they are. Of several that wait only the latest is run.
   */
  whenRenewable(run: () => void): void {
    this.#putOff = undefined;
    if (this.#renewable) return run();
    this.#putOff = run;
    this.#parts.log.warn("a change of the task files waits: too many threads still run the code from before", {
      threads: this.#retiring.length,
    });
  }

  /** New threads take the place of all, which end with what they are running. */
  renew(): void {
    for (const worker of this.#workers) worker.retire();
    this.#fill();
  }

  /** Starts no more threads, for they would take jobs: what ends now is not replaced. */
  quiet(): void {
    this.#quiet = true;
  }

  workers(): readonly SlotWorker[] {
    return [...this.#workers];
  }

  /** Ends all threads at once. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#readyTimer);
    clearTimeout(this.#restartTimer);
    for (const worker of this.#workers) worker.kill();
  }

  /** Bun has crashed when many threads started at the same time under load, so the next waits until the last is ready. */
  #fill(): void {
    if (this.#stopped || this.#quiet || this.#starting || this.#serving >= this.#parts.size) return;
    this.#count += 1;
    const flight = this.#parts.flights === undefined ? undefined : flightFile(this.#parts.flights, this.#count);
    const worker = new SlotWorker(this.#parts.kind, { ...this.#parts.init(), flight }, this.#events);
    if (flight !== undefined) this.#flightFiles.set(worker, flight);
    this.#starting = worker;
    this.#workers.add(worker);
    this.#readyTimer = setTimeout(() => worker.kill(), READY_MS);
  }

  #started(worker: SlotWorker): void {
    if (this.#starting !== worker) return;
    clearTimeout(this.#readyTimer);
    this.#starting = undefined;
    this.#fill();
  }

  #lost(worker: SlotWorker): void {
    if (this.#stopped) return;
    const early = this.#starting === worker;
    if (!early) return this.#fill();
    this.#parts.log.error("a worker thread ended before it was ready");
    this.#restartTimer = setTimeout(() => {
      this.#starting = undefined;
      this.#fill();
    }, RESTART_MS);
  }

  get #serving(): number {
    return this.#workers.size - this.#retiring.length;
  }

  get #retiring(): readonly SlotWorker[] {
    return [...this.#workers].filter(({ retiring }) => retiring);
  }

  /** All that serve may retire as well. */
  get #renewable(): boolean {
    return this.#retiring.length + this.#parts.size <= ENDING_CREWS * this.#parts.size;
  }

  #catchUp(): void {
    const run = this.#putOff;
    if (!run || this.#stopped || this.#quiet || !this.#renewable) return;
    this.#putOff = undefined;
    this.#parts.log.info("the change of the task files that waited is taken up");
    run();
  }

  /**
   * One thread at a time: not before the one that took the last one's place is ready. Those that end with long tasks do not
   * keep others from being replaced, as long as there is room for one more and a renewal beside it.
   */
  #recycle(worker: SlotWorker): void {
    const worn = worker.ranJobs >= RECYCLE_JOBS || worker.heapBytes >= RECYCLE_HEAP_BYTES;
    if (!worn || worker.retiring || this.#starting) return;
    if (this.#retiring.length >= (ENDING_CREWS - 1) * this.#parts.size) return;
    worker.retire();
    this.#parts.log.info("recycling a worker thread", { jobs: worker.ranJobs, heap_bytes: worker.heapBytes });
    this.#fill();
  }
}
