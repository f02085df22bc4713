import type { JobRef } from "../ports/broker.ts";
import type { Feed } from "./feeder.ts";
import type { Settlement } from "./settlement.ts";
import type { SlotWorker } from "./slot-worker.ts";

/** A job that a busy thread has claimed and cannot begin goes back after this long: another one may be free. In milliseconds. */
const STUCK_MS = 100;

/** Threads that claim by themselves: they are told when to look, and what one of them cannot begin is given back. */
export class OwnClaims implements Feed {
  readonly #settlement: Settlement;
  readonly #workers: () => readonly SlotWorker[];

  constructor(settlement: Settlement, workers: () => readonly SlotWorker[]) {
    this.#settlement = settlement;
    this.#workers = workers;
  }

  /** For a single job one thread with nothing to do is enough. */
  feed(jobs = Number.POSITIVE_INFINITY): void {
    const workers = this.#workers();
    const idle = jobs === 1 ? workers.find((worker) => worker.idle) : undefined;
    for (const worker of idle ? [idle] : workers) worker.work();
  }

  async quiet(): Promise<void> {
    await Promise.all(this.#workers().map((worker) => worker.quiet()));
  }

  rebalance(now: number): void {
    const back: JobRef[] = [];
    for (const worker of this.#workers()) {
      for (const held of worker.held()) {
        if (now - held.assignedAt > STUCK_MS && worker.begunAt(held) === undefined && worker.revoke(held)) back.push(held.job);
      }
    }
    if (back.length > 0) this.#settlement.release(back);
  }
}
