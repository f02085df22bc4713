import type { Job } from "../ports/broker.ts";
import type { FromThread, HeldJob, SlotJob, StopReason, ThreadInit, TookJob, ToThread } from "./messages.ts";
import { Pace } from "./pace.ts";
import { SlotTable } from "./slots.ts";

/** Something that runs jobs in slots: a thread of this process, or a process of its own. */
export interface Hand {
  send(text: string): void;
  /** Ends it at once, whatever it is doing. */
  kill(): void;
}

/** Starts a hand; `onMessage` gets its messages, `onEnd` is called once when it is gone, however that came. */
export type StartHand = (init: ThreadInit, onMessage: (text: string) => void, onEnd: () => void) => Hand;

/** How hands of one kind are started. */
export interface HandKind {
  readonly start: StartHand;
  /** Whether both sides see the same slot table. Where they do not, a job counts as begun once it is sent. */
  readonly sharesMemory: boolean;
}

/** A job in a slot, as the supervisor sees it. */
export interface Held {
  readonly slot: number;
  /** Of the slot; see SlotTable. */
  readonly turn: number;
  readonly job: HeldJob;
  /** The whole of it, where it was sent from here. */
  readonly sent: Job | undefined;
  readonly assignedAt: number;
  stopping: { readonly reason: StopReason; readonly at: number } | undefined;
}

/** A job whose worker is gone. */
export interface LeftJob {
  readonly held: Held;
  readonly begun: boolean;
}

export interface WorkerEvents {
  ready(worker: SlotWorker): void;
  report(worker: SlotWorker, report: Extract<FromThread, { kind: "report" }>): void;
  /** A thread that claims by itself has let go of jobs. */
  freed?(worker: SlotWorker): void;
  line(worker: SlotWorker, line: Extract<FromThread, { kind: "line" }>): void;
  /** It is gone, and `left` is what it had not ended. */
  ended(worker: SlotWorker, left: readonly LeftJob[]): void;
}

/** One thread or isolated process with its slots: the supervisor's side of it. */
export class SlotWorker {
  /** Jobs that it has ended, and the last known size of its heap: what recycling goes by. */
  ranJobs = 0;
  heapBytes = 0;
  /** Gets no more jobs; ends when it has none left. */
  #retiring = false;
  /** It was ended on purpose: jobs that go down with it are not to blame. */
  killed = false;
  readonly #table: SlotTable;
  readonly #sharesMemory: boolean;
  readonly #slots: (Held | "revoked" | undefined)[];
  readonly #hand: Hand;
  readonly #events: WorkerEvents;
  readonly #atOnce: number;
  #heldCount = 0;
  readonly #pace = new Pace();
  #ready = false;
  #ended = false;
  /** There once it was asked to claim no more. */
  #quiet: PromiseWithResolvers<void> | undefined;
  /** It claims no more, as it has said. */
  #silent = false;

  constructor(kind: HandKind, init: Omit<ThreadInit, "table">, events: WorkerEvents) {
    this.#table = new SlotTable(init.slots);
    this.#atOnce = init.atOnce;
    this.#sharesMemory = kind.sharesMemory;
    this.#slots = new Array<Held | undefined>(init.slots).fill(undefined);
    this.#events = events;
    this.#hand = kind.start(
      { ...init, table: this.#table.buffer },
      (text) => this.#receive(JSON.parse(text) as FromThread),
      () => this.#gone(),
    );
  }

  get retiring(): boolean {
    return this.#retiring;
  }

  get heldCount(): number {
    return this.#heldCount;
  }

  /** It can take jobs, and has none. */
  get idle(): boolean {
    return this.#ready && !this.#ended && !this.#retiring && this.#heldCount === 0;
  }

  /** How many more jobs it can take now. */
  get freeSlots(): number {
    if (!this.#ready || this.#ended || this.#retiring) return 0;
    const room = this.#pace.short ? this.#slots.length : this.#atOnce;
    return Math.max(0, room - this.#heldCount);
  }

  /** It holds more jobs than it can run at the same time, as is good only while they are short. */
  get overbooked(): boolean {
    return this.#heldCount > this.#atOnce;
  }

  /** Its jobs turned out not to be short. */
  slowDown(): void {
    this.#pace.slowDown();
  }

  get alive(): boolean {
    return !this.#ended;
  }

  held(): readonly Held[] {
    return this.#slots.filter((slot): slot is Held => typeof slot === "object");
  }

  /** When the job's code began to run, milliseconds since 1970 UTC; undefined: not yet, or it is over. */
  begunAt({ slot, turn }: Held): number | undefined {
    return this.#table.begunAt(slot, turn);
  }

  /** Takes jobs into free slots and sends them in one message. */
  assign(jobs: readonly Job[], now: number): void {
    const items: SlotJob[] = [];
    let slot = 0;
    for (const job of jobs) {
      while (this.#slots[slot] !== undefined) slot += 1;
      const turn = this.#table.assign(slot);
      if (!this.#sharesMemory) this.#table.begin(slot, now);
      this.#slots[slot] = { slot, turn, job, sent: job, assignedAt: now, stopping: undefined };
      items.push({ slot, job });
    }
    this.#heldCount += items.length;
    this.#send({ kind: "run", jobs: items });
  }

  /** Takes a job back that has not begun. @returns false when it has */
  revoke(held: Held): boolean {
    if (held.stopping !== undefined || !this.#table.revoke(held.slot, held.turn)) return false;
    // The slot stays taken until the thread has seen it.
    this.#slots[held.slot] = "revoked";
    return true;
  }

  /** Asks the job's code to stop; once. */
  stop(held: Held, reason: StopReason, now: number): void {
    if (held.stopping) return;
    held.stopping = { reason, at: now };
    const { slot, job } = held;
    this.#send({ kind: "stop", slot, id: job.id, fence: job.fence, reason });
  }

  /** Tells a thread that claims by itself that there may be work. */
  work(): void {
    if (this.#ready && !this.#ended && !this.#quiet) this.#send({ kind: "work" });
  }

  /** Has a thread that claims by itself claim no more. Resolves once none is under way, or with its end. */
  quiet(): Promise<void> {
    this.#quiet ??= Promise.withResolvers();
    if (this.#ended || !this.#ready) this.#quiet.resolve();
    else this.#send({ kind: "quiet" });
    return this.#quiet.promise;
  }

  /** It gets no more jobs and ends with its last one; at once where it has none. */
  retire(): void {
    if (this.#retiring) return;
    this.#retiring = true;
    // One that is still starting is ended once it has: to end a thread while it loads has crashed the process.
    if (this.#ready) void this.quiet();
  }

  #endRetired(): void {
    if (this.#retiring && this.#silent && this.#heldCount === 0 && !this.#ended) this.kill();
  }

  kill(): void {
    this.killed = true;
    this.#hand.kill();
  }

  #send(message: ToThread): void {
    this.#hand.send(JSON.stringify(message));
  }

  #receive(message: FromThread): void {
    if (this.#ended) return;
    switch (message.kind) {
      case "ready":
        this.#ready = true;
        if (this.#retiring || this.#quiet) void this.quiet();
        return this.#events.ready(this);
      case "line":
        return this.#events.line(this, message);
      case "report":
        return this.#reported(message);
      case "took":
        return this.#took(message.jobs, message.at);
      case "free":
        this.heapBytes = message.heapBytes;
        this.ranJobs += message.ended;
        for (const slot of message.slots) this.#forget(slot);
        this.#events.freed?.(this);
        return this.#endRetired();
      case "quiet":
        this.#silent = true;
        this.#quiet?.resolve();
        return this.#endRetired();
    }
  }

  #reported(report: Extract<FromThread, { kind: "report" }>): void {
    this.heapBytes = report.heapBytes;
    this.ranJobs += report.ended.length;
    for (const { slot, outcome } of report.ended) {
      this.#pace.ran(outcome.at - this.#table.lastBegunAt(slot));
      this.#free(slot);
    }
    for (const slot of report.freed) this.#free(slot);
    this.#events.report(this, report);
    this.#endRetired();
  }

  /** What a thread has taken by itself. */
  #took(jobs: readonly TookJob[], assignedAt: number): void {
    for (const { slot, turn, ...job } of jobs) {
      this.#slots[slot] = { slot, turn, job, sent: undefined, assignedAt, stopping: undefined };
    }
    this.#heldCount += jobs.length;
  }

  #free(slot: number): void {
    if (this.#forget(slot)) this.#table.free(slot);
  }

  #forget(slot: number): boolean {
    if (this.#slots[slot] === undefined) return false;
    this.#slots[slot] = undefined;
    this.#heldCount -= 1;
    return true;
  }

  #gone(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#quiet?.resolve();
    this.#events.ended(
      this,
      this.held().map((held) => ({ held, begun: this.#table.hasBegun(held.slot, held.turn) })),
    );
  }
}
