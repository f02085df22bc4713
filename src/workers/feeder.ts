import type { Job, JobRef } from "../ports/broker.ts";
import type { Settlement, SettlementParts } from "./settlement.ts";
import type { SlotWorker } from "./slot-worker.ts";

/** After a claim that failed, in milliseconds. */
const RETRY_MS = 500;

/** A job that has waited this long behind a busy one goes to a free thread, in milliseconds. */
const STUCK_MS = 20;
/** Where no thread is free, jobs that were sent on the belief that all are short go back after this long, in milliseconds. */
const EARLY_MS = 250;

/** How the threads of a crew come by their jobs. */
export interface Feed {
  /** There may be work, or room for it: so many jobs, if that is known. */
  feed(jobs?: number): void;
  /** No more claims. Resolves when those under way have been answered, and what they brought is given back. */
  quiet(): Promise<void>;
  /** Called again and again: jobs that wait behind a busy one are not to wait longer than they must. */
  rebalance(now: number): void;
}

/** Claims jobs for the free slots of a crew. */
export class Feeder implements Feed {
  readonly #parts: SettlementParts;
  readonly #settlement: Settlement;
  readonly #workers: () => readonly SlotWorker[];
  /** Slots that claims under way are for. */
  #reserved = 0;
  #again = false;
  #soon = false;
  #quiet = false;
  readonly #claims = new Set<Promise<void>>();
  #retry: ReturnType<typeof setTimeout> | undefined;

  constructor(parts: SettlementParts, settlement: Settlement, workers: () => readonly SlotWorker[]) {
    this.#parts = parts;
    this.#settlement = settlement;
    this.#workers = workers;
  }

  async quiet(): Promise<void> {
    this.#quiet = true;
    clearTimeout(this.#retry);
    await Promise.all(this.#claims);
  }

  /** Claims for every slot that is free at the end of this turn: under load, one claim serves many reports. */
  feed(): void {
    if (this.#soon) return;
    this.#soon = true;
    setImmediate(() => {
      this.#soon = false;
      this.#claim();
    });
  }

  #claim(): void {
    if (this.#quiet) return;
    const free = this.#freeSlots() - this.#reserved;
    if (free <= 0) {
      this.#again = true;
      return;
    }
    this.#again = false;
    this.#reserved += free;
    const claim = this.#claimFor(free).finally(() => this.#claims.delete(claim));
    this.#claims.add(claim);
  }

  async #claimFor(free: number): Promise<void> {
    const { broker, worker, offer, log } = this.#parts;
    let jobs: readonly Job[] = [];
    try {
      jobs = await broker.claim({ worker, max: free, tasks: offer.names, alone: false });
    } catch (error) {
      log.error("could not claim", { error: String(error) });
      clearTimeout(this.#retry);
      if (!this.#quiet) this.#retry = setTimeout(() => this.feed(), RETRY_MS);
    }
    this.#reserved -= free;
    this.#distribute(jobs);
    if (this.#again || jobs.length === free) this.#claim();
  }

  /** Moves jobs that wait behind a busy one to workers with free slots, and gives back what was sent too early. */
  rebalance(now: number): void {
    const workers = this.#workers();
    for (const from of workers) {
      const early: JobRef[] = [];
      for (const held of from.held()) {
        const waitedMs = now - held.assignedAt;
        if (waitedMs <= STUCK_MS || from.begunAt(held) !== undefined) continue;
        const to = leastLoaded(workers.filter((worker) => worker !== from));
        // What a claim under way is for must stay free, or its jobs would have to be given back.
        const free = to !== undefined && this.#freeSlots() > this.#reserved;
        if (!free && !(from.overbooked && waitedMs > EARLY_MS)) break;
        if (!from.revoke(held)) continue;
        if (free && held.sent) to.assign([held.sent], now);
        else early.push(held.job);
      }
      if (early.length === 0) continue;
      from.slowDown();
      this.#settlement.release(early);
    }
  }

  /** Spreads jobs over the workers, each to the one with the most free slots. */
  #distribute(jobs: readonly Job[]): void {
    if (jobs.length === 0) return;
    const now = this.#parts.clock.now();
    const workers = this.#workers().filter((worker) => worker.freeSlots > 0);
    const shares = workers.map((worker) => ({ worker, free: worker.freeSlots, jobs: [] as Job[] }));
    const homeless: Job[] = [];
    for (const job of jobs) {
      const share = shares.reduce<(typeof shares)[number] | undefined>(
        (best, next) => (next.free > (best?.free ?? 0) ? next : best),
        undefined,
      );
      if (!share || this.#quiet) {
        homeless.push(job);
        continue;
      }
      share.free -= 1;
      share.jobs.push(job);
    }
    for (const share of shares) if (share.jobs.length > 0) share.worker.assign(share.jobs, now);
    if (homeless.length > 0) this.#settlement.release(homeless);
  }

  #freeSlots(): number {
    return this.#workers().reduce((sum, worker) => sum + worker.freeSlots, 0);
  }
}

function leastLoaded(workers: readonly SlotWorker[]): SlotWorker | undefined {
  return workers.reduce<SlotWorker | undefined>(
    (best, next) => (next.freeSlots > (best?.freeSlots ?? 0) ? next : best),
    undefined,
  );
}
