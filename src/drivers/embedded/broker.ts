import type {
  Broker,
  BrokerEvent,
  ClaimRequest,
  EventPage,
  HeartbeatAnswer,
  Job,
  JobRef,
  LimitUse,
  LogLine,
  NewWork,
  Offset,
  Outcome,
  ProgressReport,
  Restraints,
  SettleResult,
  Unsubscribe,
  WorkerInfo,
  WorkerView,
} from "../../ports/broker.ts";
import { LEASE_MS, newWork, UNKNOWN_WORK } from "../../ports/broker.ts";
import type { Clock } from "../../ports/runtime.ts";
import { Alarm } from "../alarm.ts";
import { Signal } from "../signal.ts";
import { EventLog } from "./event-log.ts";
import { Lanes, type Queued } from "./lanes.ts";
import { Restraint } from "./restraint.ts";

/** So many unrecorded events stop claims: the recorder is behind, and more outcomes would only fill memory. */
const MAX_EVENTS = 100_000;

/** What the broker knows of one dispatch, from enqueue until its end is acknowledged. */
interface Entry extends Queued {
  state: "queued" | "leased" | "settled";
  worker: string | null;
  cancelled: boolean;
}

/**
 * The broker of a single process: lanes, leases and events in memory. It dies with the process and is fed again from
 * the rows; what ran at that moment the threads have left word of (workers/flight.ts).
 */
export class EmbeddedBroker implements Broker {
  readonly kind = "embedded";
  readonly #clock: Clock;
  readonly #entries = new Map<string, Entry>();
  readonly #restraint: Restraint;
  readonly #shared: Lanes;
  readonly #alone: Lanes;
  readonly #held = new Map<string, Map<string, Entry>>();
  readonly #beats = new Map<string, number>();
  /** What workers have said of themselves. */
  readonly #crew = new Map<string, WorkerInfo>();
  readonly #events: EventLog;
  /** What a rate keeps back is there to be claimed later. */
  readonly #later = new Alarm(() => this.#onWork.emit(UNKNOWN_WORK));
  readonly #onEvents = new Signal<[]>();
  readonly #onWork = new Signal<[NewWork]>();
  readonly #onCancel = new Signal<[readonly string[]]>();
  readonly #onProgress = new Signal<[readonly ProgressReport[]]>();

  constructor(options: { clock: Clock; epoch: string }) {
    this.#clock = options.clock;
    this.#events = new EventLog(options.epoch, () => this.#onEvents.emit());
    this.#restraint = new Restraint(options.clock);
    this.#shared = new Lanes(this.#restraint);
    this.#alone = new Lanes(this.#restraint);
  }

  async enqueue(jobs: readonly Job[]): Promise<void> {
    for (const job of jobs) this.#add(job);
    if (jobs.length > 0) this.#onWork.emit(newWork(jobs));
  }

  async restrain(restraints: Restraints): Promise<void> {
    const held = [...this.#held.values()].flatMap((each) => [...each.values()]);
    this.#restraint.set(
      restraints,
      held.map(({ job }) => job),
    );
    for (const lanes of [this.#shared, this.#alone]) lanes.unpark();
    this.#onWork.emit(UNKNOWN_WORK);
  }

  async limitUse(names: readonly string[], owner?: string): Promise<readonly LimitUse[]> {
    return this.#restraint.use(names, owner);
  }

  async cancel(ids: readonly string[]): Promise<void> {
    const running: string[] = [];
    for (const id of ids) {
      const entry = this.#entries.get(id);
      if (entry?.state === "queued") this.#drop(entry);
      if (entry?.state === "leased") {
        entry.cancelled = true;
        running.push(id);
      }
    }
    if (running.length > 0) this.#onCancel.emit(running);
  }

  async missing(refs: readonly JobRef[]): Promise<readonly JobRef[]> {
    return refs.filter((ref) => (this.#entries.get(ref.id)?.job.fence ?? -1) < ref.fence);
  }

  async events(from: Offset | null, limit: number): Promise<EventPage> {
    return this.#events.page(from, limit);
  }

  async acknowledge(offset: Offset): Promise<void> {
    const wasFull = this.#events.size >= MAX_EVENTS;
    for (const event of this.#events.acknowledge(offset)) this.#forget(event);
    if (wasFull) this.#onWork.emit(UNKNOWN_WORK);
  }

  async reap(): Promise<number> {
    const now = this.#clock.now();
    let count = 0;
    for (const [worker, held] of this.#held) {
      if (now - (this.#beats.get(worker) ?? 0) <= LEASE_MS) continue;
      for (const entry of held.values()) this.#emit({ kind: "lost", id: entry.job.id, fence: entry.job.fence, at: now }, entry);
      count += held.size;
      this.#held.delete(worker);
      this.#beats.delete(worker);
      this.#crew.delete(worker);
    }
    return count;
  }

  async claim(request: ClaimRequest): Promise<readonly Job[]> {
    return this.#events.size < MAX_EVENTS ? this.#take(request) : [];
  }

  async settle(worker: string, outcomes: readonly Outcome[]): Promise<readonly SettleResult[]> {
    return outcomes.map((outcome) => {
      const entry = this.#entries.get(outcome.id);
      if (!entry || entry.job.fence !== outcome.fence || !this.#holds(worker, entry)) return "lease lost";
      this.#settleOne(worker, entry, outcome);
      return "taken";
    });
  }

  async heartbeat(worker: string, held: readonly JobRef[], info?: WorkerInfo): Promise<HeartbeatAnswer> {
    this.#beats.set(worker, this.#clock.now());
    if (info) this.#crew.set(worker, info);
    const cancelled: string[] = [];
    const lost: JobRef[] = [];
    for (const ref of held) {
      const entry = this.#entries.get(ref.id);
      if (!entry || entry.job.fence !== ref.fence || !this.#holds(worker, entry)) lost.push(ref);
      else if (entry.cancelled) cancelled.push(ref.id);
    }
    return { cancelled, lost };
  }

  async log(lines: readonly (JobRef & { readonly log: readonly LogLine[] })[]): Promise<void> {
    for (const line of lines) this.#emit({ kind: "log", ...line });
  }

  report(reports: readonly ProgressReport[]): void {
    this.#onProgress.emit(reports);
  }

  onEvents(listener: () => void): Unsubscribe {
    return this.#onEvents.on(listener);
  }

  onProgress(listener: (reports: readonly ProgressReport[]) => void): Unsubscribe {
    return this.#onProgress.on(listener);
  }

  onWork(listener: (work: NewWork) => void): Unsubscribe {
    return this.#onWork.on(listener);
  }

  onCancel(listener: (ids: readonly string[]) => void): Unsubscribe {
    return this.#onCancel.on(listener);
  }

  /** It lives and dies with the process: it is never away. */
  onReady(): Unsubscribe {
    return () => {};
  }

  trouble(): string | undefined {
    return undefined;
  }

  async workers(): Promise<readonly WorkerView[]> {
    return [...this.#crew].map(([id, info]) => ({
      ...info,
      id,
      seenAt: this.#beats.get(id) ?? 0,
      running: this.#held.get(id)?.size ?? 0,
    }));
  }

  async leave(worker: string): Promise<void> {
    const at = this.#clock.now();
    for (const entry of this.#held.get(worker)?.values() ?? []) {
      this.#emit({ kind: "released", id: entry.job.id, fence: entry.job.fence, at }, entry);
    }
    this.#held.delete(worker);
    this.#beats.delete(worker);
    this.#crew.delete(worker);
  }

  async stop(): Promise<void> {
    this.#events.stop();
    this.#later.stop();
  }

  #add(job: Job): void {
    const known = this.#entries.get(job.id);
    if (known && known.job.fence >= job.fence) return;
    if (known) this.#drop(known);
    const entry: Entry = { job, removed: false, state: "queued", worker: null, cancelled: false };
    this.#entries.set(job.id, entry);
    (job.alone ? this.#alone : this.#shared).push(entry);
  }

  /** Moves jobs from their lanes into the worker's hands, one `started` event each. */
  #take(request: ClaimRequest): Job[] {
    const lanes = request.alone ? this.#alone : this.#shared;
    const now = this.#clock.now();
    const taken: Job[] = [];
    while (taken.length < request.max) {
      const job = lanes.take(request);
      if (!job) break;
      const entry = this.#entries.get(job.id) as Entry;
      entry.state = "leased";
      entry.worker = request.worker;
      this.#heldBy(request.worker).set(job.id, entry);
      this.#events.started({ kind: "started", id: job.id, fence: job.fence, at: now, worker: request.worker });
      this.#restraint.took(job);
      taken.push(job);
    }
    const waitMs = this.#restraint.takeWaitMs();
    if (waitMs !== undefined) this.#later.set(waitMs);
    if (taken.length > 0) this.#beats.set(request.worker, now);
    return taken;
  }

  /** A lease is over: it may leave room for others. */
  #vacate({ job }: Entry): void {
    if (!this.#restraint.ended(job)) return;
    for (const lanes of [this.#shared, this.#alone]) lanes.unpark(job);
    this.#onWork.emit(UNKNOWN_WORK);
  }

  #heldBy(worker: string): Map<string, Entry> {
    let held = this.#held.get(worker);
    if (!held) {
      held = new Map();
      this.#held.set(worker, held);
    }
    return held;
  }

  #holds(worker: string, entry: Entry): boolean {
    return this.#held.get(worker)?.get(entry.job.id) === entry;
  }

  #settleOne(worker: string, entry: Entry, outcome: Outcome): void {
    this.#held.get(worker)?.delete(entry.job.id);
    this.#emit(outcome, entry);
  }

  /** Appends an event; one that ends a dispatch keeps its entry, as settled, until it is acknowledged. */
  #emit(event: BrokerEvent, ended?: Entry): void {
    if (ended) {
      if (ended.state === "leased") this.#vacate(ended);
      ended.state = "settled";
      ended.worker = null;
    }
    this.#events.append(event);
  }

  #forget(event: BrokerEvent): void {
    if (event.kind === "started" || event.kind === "log") return;
    const entry = this.#entries.get(event.id);
    if (entry?.state === "settled" && entry.job.fence === event.fence) this.#entries.delete(event.id);
  }

  #drop(entry: Entry): void {
    if (entry.state === "queued") (entry.job.alone ? this.#alone : this.#shared).remove(entry);
    if (entry.state === "leased") this.#vacate(entry);
    if (entry.worker !== null) this.#held.get(entry.worker)?.delete(entry.job.id);
    this.#entries.delete(entry.job.id);
  }
}
