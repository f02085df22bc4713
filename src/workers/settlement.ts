import { backoffMs } from "../domain/retry.ts";
import type { BrokerWorker, JobRef, Outcome } from "../ports/broker.ts";
import type { Clock, Log, Random } from "../ports/runtime.ts";
import type { FromThread, HeldJob } from "./messages.ts";
import type { Offer } from "./offer.ts";
import { timedOut } from "./run.ts";
import type { LeftJob, SlotWorker } from "./slot-worker.ts";

export interface SettlementParts {
  readonly broker: BrokerWorker;
  /** Who holds the leases. */
  readonly worker: string;
  readonly offer: Offer;
  /** The queues that are served; undefined: all. */
  readonly queues?: readonly string[] | undefined;
  readonly clock: Clock;
  readonly random: Pick<Random, "fraction">;
  readonly log: Log;
}

/** Hands to the broker what comes back from the workers. */
export class Settlement {
  readonly #parts: SettlementParts;
  readonly #underWay = new Set<Promise<void>>();

  constructor(parts: SettlementParts) {
    this.#parts = parts;
  }

  /** A worker's report: outcomes, progress, log lines. */
  report(report: Extract<FromThread, { kind: "report" }>): void {
    const { broker } = this.#parts;
    if (report.progress.length > 0) broker.report(report.progress);
    if (report.log.length > 0) this.#supervise(broker.log(report.log), "could not send log lines");
    this.settle(report.ended.map(({ outcome }) => outcome));
  }

  settle(outcomes: readonly Outcome[]): void {
    if (outcomes.length > 0) this.#supervise(this.#parts.broker.settle(this.#parts.worker, outcomes), "could not settle");
  }

  /** Gives jobs back that have not begun. */
  release(jobs: readonly JobRef[]): void {
    const at = this.#parts.clock.now();
    this.settle(jobs.map((job) => ({ kind: "released", id: job.id, fence: job.fence, at })));
  }

  /** Says what became of the jobs of a worker that is gone. */
  left(worker: SlotWorker, left: readonly LeftJob[]): void {
    this.settle(left.map((job) => this.#outcomeOf(job, worker.killed)));
  }

  #outcomeOf({ held, begun }: LeftJob, killed: boolean): Outcome {
    const { job } = held;
    const base = { id: job.id, fence: job.fence, at: this.#parts.clock.now() };
    if (held.stopping?.reason === "cancelled") return { ...base, kind: "cancelled" };
    if (held.stopping?.reason === "timeout")
      return { ...base, kind: "failed", error: timedOut(), retryInMs: this.#retryInMs(job) };
    return { ...base, kind: begun && !killed ? "suspected" : "released" };
  }

  #retryInMs(job: HeldJob): number {
    const policy = this.#parts.offer.policy(job.name);
    return policy ? backoffMs(policy.retry, job.attempt, this.#parts.random.fraction()) : 0;
  }

  /** Resolves when the broker has answered everything that it was told until now. */
  async settled(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  #supervise(work: Promise<unknown>, complaint: string): void {
    const told = work
      .then(() => {})
      .catch((error: unknown) => this.#parts.log.error(complaint, { error: String(error) }))
      .finally(() => this.#underWay.delete(told));
    this.#underWay.add(told);
  }
}
