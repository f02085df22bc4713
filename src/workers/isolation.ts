import { Unavailable } from "../domain/errors.ts";
import type { Job } from "../ports/broker.ts";
import type { Settlement, SettlementParts } from "./settlement.ts";
import { type HandKind, SlotWorker } from "./slot-worker.ts";

/** After a process that ended before it was ready, or a claim that failed, in milliseconds. */
const RESTART_MS = 1_000;

interface Parts {
  readonly settlement: Settlement;
  readonly claims: SettlementParts;
  readonly kind: HandKind;
  /** How many suspects may run at the same time. */
  readonly size: number;
  readonly allowPrivateHosts: boolean;
}

/**
 * Runs suspected tasks, each alone in a process of its own that ends with it: whatever kills that process, nobody else
 * goes down with it, and there is no doubt who did it.
 */
export class Isolation {
  readonly #parts: Parts;
  readonly #workers = new Set<SlotWorker>();
  /** Jobs whose process is not ready yet. */
  readonly #starting = new Map<SlotWorker, Job>();
  #looking: Promise<void> | undefined;
  #again = false;
  #quiet = false;
  #rest: ReturnType<typeof setTimeout> | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  workers(): readonly SlotWorker[] {
    return [...this.#workers];
  }

  /** No more claims. Resolves when one under way has been answered, and what has not begun is given back. */
  async quiet(): Promise<void> {
    this.#quiet = true;
    clearTimeout(this.#rest);
    this.#parts.settlement.release(this.takeBack(() => true));
    await this.#looking;
  }

  /** Takes jobs back whose process is not ready yet: they have not begun. */
  takeBack(which: (job: Job) => boolean): readonly Job[] {
    const taken = [...this.#starting].filter(([, job]) => which(job));
    for (const [worker] of taken) {
      this.#starting.delete(worker);
      worker.kill();
    }
    return taken.map(([, job]) => job);
  }

  stop(): void {
    for (const worker of this.#workers) worker.kill();
  }

  /** Claims suspects while there is room. */
  look(): void {
    const room = this.#parts.size - this.#workers.size;
    this.#again = this.#looking !== undefined;
    if (this.#quiet || this.#looking || this.#rest !== undefined || room <= 0) return;
    this.#looking = this.#claim(room).finally(() => {
      this.#looking = undefined;
      if (this.#again) this.look();
    });
  }

  async #claim(room: number): Promise<void> {
    const { broker, worker, offer, queues, log } = this.#parts.claims;
    try {
      const jobs = await broker.claim({ worker, max: room, tasks: offer.names, queues, alone: true });
      for (const job of jobs) this.#run(job);
    } catch (error) {
      if (!(error instanceof Unavailable)) log.error("could not claim a suspect", { error: String(error) });
      this.#lookLater();
    }
  }

  #run(job: Job): void {
    const { settlement, kind, allowPrivateHosts, claims } = this.#parts;
    if (this.#quiet) return settlement.release([job]);
    const worker = new SlotWorker(
      kind,
      { sources: claims.offer.sources, allowPrivateHosts, slots: 1, atOnce: 1 },
      {
        ready: () => {
          if (!this.#starting.delete(worker)) return;
          worker.assign([job], claims.clock.now());
        },
        report: (_, report) => {
          settlement.report(report);
          if (report.ended.length > 0) worker.kill();
        },
        line: (_, line) => claims.log[line.level](line.message, { task_id: job.id }),
        ended: (_, left) => {
          this.#workers.delete(worker);
          if (this.#starting.delete(worker)) this.#failedToStart(job);
          else settlement.left(worker, left);
          this.look();
        },
      },
    );
    this.#starting.set(worker, job);
    this.#workers.add(worker);
  }

  /** It has not run, so it is given back; but a process that cannot be started now cannot be started in this moment again. */
  #failedToStart(job: Job): void {
    this.#parts.claims.log.error("a process for a suspected task ended before it was ready", { task_id: job.id });
    this.#lookLater();
    this.#parts.settlement.release([job]);
  }

  #lookLater(): void {
    if (this.#quiet) return;
    this.#rest ??= setTimeout(() => {
      this.#rest = undefined;
      this.look();
    }, RESTART_MS);
  }
}
