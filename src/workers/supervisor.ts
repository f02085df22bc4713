import { Unavailable } from "../domain/errors.ts";
import {
  type BrokerHub,
  type BrokerWorker,
  HEARTBEAT_MS,
  type JobRef,
  type NewWork,
  UNKNOWN_WORK,
  type Unsubscribe,
  type WorkerInfo,
} from "../ports/broker.ts";
import type { Clock, Log, Random, Service } from "../ports/runtime.ts";
import { Crew } from "./crew.ts";
import { type Feed, Feeder } from "./feeder.ts";
import { Isolation } from "./isolation.ts";
import type { HeldJob, OwnBroker, Source, StopReason } from "./messages.ts";
import { Offer } from "./offer.ts";
import { OwnClaims } from "./own-claims.ts";
import { Settlement, type SettlementParts } from "./settlement.ts";
import type { HandKind, Held, SlotWorker } from "./slot-worker.ts";

/** How often running jobs are looked at for their limits, in milliseconds. */
const WATCH_MS = 50;
/** A job that has been asked to stop gets this long before its thread is ended, in milliseconds. */
const GRACE_MS = 2_000;
/** A thread whose jobs are short is sent so many times as many as it runs at once: then it need not wait for the next ones. */
const PREFETCH = 4;
/** Before the drain's deadline, what still runs is asked to stop; this long, but at most a quarter of the drain, in milliseconds. */
const STOP_LEAD_MS = 1_000;
/** However late it is, the broker gets this long to hear what is given back, in milliseconds. */
const LAST_WORD_MS = 500;

interface Parts {
  readonly broker: BrokerWorker & Pick<BrokerHub, "reap" | "onReady">;
  /** The name under which this process holds leases; unique in the installation. */
  readonly worker: string;
  readonly threads: number;
  readonly slots: number;
  readonly sources: readonly Source[];
  /** The queues that it serves; undefined: all. */
  readonly queues?: readonly string[] | undefined;
  /** Threads reach the broker by themselves; undefined: the supervisor claims for them. */
  readonly ownBroker?: Pick<OwnBroker, "url" | "namespace"> | undefined;
  /** What it says of itself, beside what is known here. */
  readonly about: Pick<WorkerInfo, "host" | "pid" | "version">;
  readonly allowPrivateHosts: boolean;
  /** A folder in which threads leave word of what they run, for the case that the process dies of it. */
  readonly flights?: string | undefined;
  readonly threadKind: HandKind;
  readonly processKind: HandKind;
  readonly clock: Clock;
  readonly random: Pick<Random, "fraction">;
  readonly log: Log;
}

/** Runs this process's share of the work: its threads, what they hold, how long they may, and how it all ends. */
export class Supervisor implements Service {
  readonly #parts: Parts;
  readonly #settlement: Settlement;
  readonly #crew: Crew;
  readonly #feed: Feed;
  readonly #offer: Offer;
  readonly #info: Omit<WorkerInfo, "tasks"> | undefined;
  readonly #isolation: Isolation;
  readonly #timers: ReturnType<typeof setInterval>[] = [];
  readonly #subscriptions: Unsubscribe[] = [];
  #idle: (() => void) | undefined;
  #stopping: Promise<void> | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
    const { broker, worker, clock, random, log, sources, slots, queues, allowPrivateHosts } = parts;
    const offer = new Offer(sources);
    this.#offer = offer;
    this.#info = parts.threads === 0 ? undefined : infoOf(parts);
    const claims: SettlementParts = { broker, worker, offer, queues, clock, random, log };
    const ownBroker = parts.ownBroker && { ...parts.ownBroker, worker, queues };
    this.#settlement = new Settlement(claims);
    this.#crew = new Crew(
      {
        kind: parts.threadKind,
        size: parts.threads,
        init: () => ({ sources: offer.sources, allowPrivateHosts, slots: slots * PREFETCH, atOnce: slots, ownBroker }),
        flights: parts.flights,
        log,
      },
      {
        ready: () => this.#feed.feed(),
        report: (_, report) => {
          this.#settlement.report(report);
          this.#feed.feed();
          this.#idle?.();
        },
        freed: () => this.#idle?.(),
        line: (_, line) => log[line.level](line.message),
        ended: (ended, left) => {
          this.#settlement.left(ended, left);
          this.#idle?.();
        },
      },
    );
    const workers = () => this.#crew.workers();
    this.#feed = ownBroker ? new OwnClaims(this.#settlement, workers) : new Feeder(claims, this.#settlement, workers);
    this.#isolation = new Isolation({
      settlement: this.#settlement,
      claims,
      kind: parts.processKind,
      size: Math.min(parts.threads, 2),
      allowPrivateHosts,
    });
  }

  start(): void {
    const { broker } = this.#parts;
    if (this.#parts.threads > 0) {
      this.#subscriptions.push(
        broker.onWork((work) => this.#look(work)),
        broker.onCancel((ids) => this.#cancel(new Set(ids))),
      );
      this.#crew.start();
    }
    this.#timers.push(
      setInterval(() => this.#watch(), WATCH_MS),
      setInterval(() => this.#beat(), HEARTBEAT_MS),
    );
    // What is held is asserted again at once: a broker that has lost its data is about to be fed.
    this.#subscriptions.push(broker.onReady(() => this.#beat()));
    this.#beat();
    this.#look(UNKNOWN_WORK);
  }

  /** Drains: no new claims, running tasks finish until the deadline, the rest is given back at no cost. */
  stop(deadlineMs: number): Promise<void> {
    this.#stopping ??= this.#drain(deadlineMs);
    return this.#stopping;
  }

  /**
   * Task files have changed: attempts that begin from now on run the new code, those under way end on the old one. What has not
   * begun goes back at no cost. Where too many threads still end with older code, that is so later; see Crew.
   */
  renew(sources: readonly Source[]): void {
    this.#crew.whenRenewable(() => this.#takeUp(sources));
  }

  #takeUp(sources: readonly Source[]): void {
    this.#offer.renew(sources);
    if (this.#parts.threads === 0 || this.#stopping !== undefined) return;
    this.#settlement.release(this.#crew.workers().flatMap(takeBack));
    this.#crew.renew();
    this.#beat();
    this.#look(UNKNOWN_WORK);
  }

  /** Jobs in this process's hands. */
  get running(): number {
    return this.#workers().reduce((sum, worker) => sum + worker.heldCount, 0);
  }

  #look({ shared, alone }: NewWork): void {
    if (shared > 0) this.#feed.feed(shared);
    if (alone > 0 && this.#parts.threads > 0) this.#isolation.look();
  }

  async #drain(deadlineMs: number): Promise<void> {
    const left = deadlineMs - this.#parts.clock.now();
    this.#crew.quiet();
    const quiet = [this.#feed.quiet(), this.#isolation.quiet()];
    for (const unsubscribe of this.#subscriptions.splice(0)) unsubscribe();
    await this.#untilIdle(deadlineMs - Math.min(STOP_LEAD_MS, left / 4));
    this.#stopAll("interrupted");
    await this.#untilIdle(deadlineMs);
    for (const timer of this.#timers) clearInterval(timer);
    this.#settlement.release(this.#workers().flatMap((worker) => worker.held().map((held) => held.job)));
    this.#crew.stop();
    this.#isolation.stop();
    // What a claim under way brings, and what was given back, is told before this process ends: it would be suspected else.
    const told = Promise.all(quiet)
      .then(() => this.#settlement.settled())
      .then(() => this.#parts.broker.leave(this.#parts.worker))
      .catch((error: unknown) => this.#parts.log.warn("could not take leave", { error: String(error) }));
    const lastWordMs = Math.max(LAST_WORD_MS, deadlineMs - this.#parts.clock.now());
    await withinMs(told, lastWordMs);
  }

  async #untilIdle(deadlineMs: number): Promise<void> {
    while (this.running > 0) {
      const leftMs = deadlineMs - this.#parts.clock.now();
      if (leftMs <= 0) return;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#idle = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  #workers(): SlotWorker[] {
    return [...this.#crew.workers(), ...this.#isolation.workers()];
  }

  #watch(): void {
    const now = this.#parts.clock.now();
    for (const worker of this.#workers()) {
      if (worker.heldCount === 0) continue;
      for (const held of worker.held()) this.#check(worker, held, now);
    }
    this.#feed.rebalance(now);
  }

  #check(worker: SlotWorker, held: Held, now: number): void {
    if (held.stopping) {
      if (now - held.stopping.at <= GRACE_MS || worker.killed) return;
      this.#parts.log.warn("ending a thread whose task does not stop", {
        task_id: held.job.id,
        name: held.job.name,
        reason: held.stopping.reason,
      });
      return worker.kill();
    }
    const begunAt = worker.begunAt(held);
    const timeoutMs = this.#offer.policy(held.job.name)?.timeoutMs ?? 0;
    if (begunAt !== undefined && now - begunAt > timeoutMs) worker.stop(held, "timeout", now);
  }

  #beat(): void {
    const { broker, worker, log } = this.#parts;
    const refs = this.#workers().flatMap((each) =>
      each.held().map(({ job: { id, fence, name, owner } }) => ({ id, fence, name, owner })),
    );
    broker
      .heartbeat(worker, refs, this.#info && { ...this.#info, tasks: this.#offer.names })
      .then(async (answer) => {
        if (answer.cancelled.length > 0) this.#cancel(new Set(answer.cancelled));
        // It may hold a later dispatch of the same task, which is its own.
        const lost = new Set(answer.lost.map(dispatchOf));
        if (lost.size > 0) this.#stopJobs((job) => lost.has(dispatchOf(job)), "interrupted");
        await broker.reap();
      })
      .catch((error: unknown) => {
        // That the broker is away it says itself.
        if (!(error instanceof Unavailable)) log.warn("heartbeat failed", { error: String(error) });
      });
  }

  #cancel(ids: ReadonlySet<string>): void {
    this.#stopJobs((job) => ids.has(job.id), "cancelled");
  }

  #stopAll(reason: StopReason): void {
    this.#stopJobs(() => true, reason);
  }

  /** Jobs that have not begun are taken back at once; the others are asked to stop. */
  #stopJobs(which: (job: HeldJob) => boolean, reason: StopReason): void {
    const at = this.#parts.clock.now();
    const kind = reason === "cancelled" ? "cancelled" : "released";
    const takenBack: JobRef[] = [...this.#isolation.takeBack(which)];
    for (const worker of this.#workers()) {
      for (const held of worker.held()) {
        const { job } = held;
        if (!which(job)) continue;
        if (worker.revoke(held)) takenBack.push(job);
        else worker.stop(held, reason, at);
      }
    }
    this.#settlement.settle(takenBack.map(({ id, fence }) => ({ kind, id, fence, at })));
  }
}

const infoOf = ({ about, threads, slots, queues, clock }: Parts): Omit<WorkerInfo, "tasks"> => ({
  ...about,
  threads,
  slots,
  queues,
  startedAt: clock.now(),
});

const dispatchOf = ({ id, fence }: JobRef): string => `${fence} ${id}`;

/** Of a worker's jobs those that have not begun. */
const takeBack = (worker: SlotWorker): JobRef[] =>
  worker
    .held()
    .filter((held) => worker.revoke(held))
    .map(({ job }) => job);

/** Resolves with the work, or without it when the time is up. */
async function withinMs(work: Promise<unknown>, ms: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  await Promise.race([work, promise]);
  clearTimeout(timer);
}
