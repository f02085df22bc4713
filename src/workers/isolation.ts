import type { Job } from "../ports/broker.ts";
import type { ThreadInit } from "./messages.ts";
import type { Settlement, SettlementParts } from "./settlement.ts";
import { type HandKind, SlotWorker } from "./slot-worker.ts";

interface Parts {
  readonly settlement: Settlement;
  readonly claims: SettlementParts;
  readonly kind: HandKind;
  /** How many suspects may run at the same time. */
  readonly size: number;
  readonly init: Omit<ThreadInit, "table" | "slots">;
}

/**
 * Runs suspected tasks, each alone in a process of its own that ends with it: whatever kills that process, nobody else
 * goes down with it, and there is no doubt who did it.
 */
export class Isolation {
  readonly #parts: Parts;
  readonly #workers = new Set<SlotWorker>();
  #looking = false;
  #again = false;
  #quiet = false;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  workers(): readonly SlotWorker[] {
    return [...this.#workers];
  }

  /** No more claims. */
  quiet(): void {
    this.#quiet = true;
  }

  stop(): void {
    this.#quiet = true;
    for (const worker of this.#workers) worker.kill();
  }

  /** Claims suspects while there is room. */
  look(): void {
    const room = this.#parts.size - this.#workers.size;
    this.#again = this.#looking;
    if (this.#quiet || this.#looking || room <= 0) return;
    this.#looking = true;
    const { broker, worker, policies, log } = this.#parts.claims;
    broker
      .claim({ worker, max: room, tasks: [...policies.keys()], alone: true })
      .then((jobs) => {
        for (const job of jobs) this.#run(job);
      })
      .catch((error: unknown) => log.error("could not claim a suspect", { error: String(error) }))
      .finally(() => {
        this.#looking = false;
        if (this.#again) this.look();
      });
  }

  #run(job: Job): void {
    const { settlement, kind, init, claims } = this.#parts;
    if (this.#quiet) return settlement.release([job]);
    let sent = false;
    const worker = new SlotWorker(kind, { ...init, slots: 1 }, {
      ready: () => {
        sent = true;
        worker.assign([{ job, timeoutMs: claims.policies.get(job.name)?.timeoutMs ?? 0 }], claims.clock.now());
      },
      report: (_, report) => {
        settlement.report(report);
        if (report.ended.length > 0) worker.kill();
      },
      line: (_, line) => claims.log[line.level](line.message, { task_id: job.id }),
      ended: (_, left) => {
        this.#workers.delete(worker);
        if (sent) settlement.left(worker, left);
        else settlement.release([job]);
        this.look();
      },
    });
    this.#workers.add(worker);
  }
}
