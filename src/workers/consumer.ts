import { Unavailable } from "../domain/errors.ts";
import type { BrokerWorker, ClaimRequest, Job } from "../ports/broker.ts";
import type { Clock } from "../ports/runtime.ts";
import { Appetite } from "./appetite.ts";
import type { FromThread, SlotJob } from "./messages.ts";
import type { SlotTable } from "./slots.ts";

/** An answer to a claim that is older was lost on the way, or kept waiting by a busy task: others may have the jobs. In milliseconds. */
const STALE_MS = 3_000;
/** After a claim that failed, in milliseconds. */
const RETRY_MS = 500;

type Report = Extract<FromThread, { kind: "report" }>;

interface Parts {
  readonly broker: Pick<BrokerWorker, "claim" | "settle" | "log" | "report">;
  readonly request: Omit<ClaimRequest, "max">;
  readonly table: SlotTable;
  readonly atOnce: number;
  readonly run: (jobs: readonly SlotJob[]) => void;
  /** How many jobs run now. */
  readonly running: () => number;
  readonly heapBytes: () => number;
  readonly send: (message: FromThread) => void;
  readonly clock: Clock;
}

/**
 * A thread's own dealings with the broker: it claims for its slots and settles what comes of them. The supervisor hears
 * which jobs it holds, and that one is over only once the broker knows: what a dying thread leaves behind is never unknown.
 */
export class Consumer {
  readonly #parts: Parts;
  readonly #appetite: Appetite;
  readonly #free: number[];
  #held = 0;
  #claiming: Promise<void> | undefined;
  /** Work may have come up during a claim. */
  #again = false;
  /** The last claim brought all that it asked for. */
  #more = false;
  #quiet = false;
  #retry: ReturnType<typeof setTimeout> | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#appetite = new Appetite(parts.atOnce, parts.table.size);
    this.#free = Array.from({ length: parts.table.size }, (_, i) => parts.table.size - 1 - i);
  }

  /** There may be work. */
  look(): void {
    this.#appetite.runsBeside(this.#parts.running());
    const room = this.#appetite.jobsBeside(this.#held);
    this.#again = true;
    if (this.#quiet || this.#claiming || room <= 0) return;
    this.#again = false;
    clearTimeout(this.#retry);
    this.#claiming = this.#claim(room).finally(() => {
      this.#claiming = undefined;
      if (this.#again || this.#more) this.#lookAgain();
    });
  }

  /** What it has just taken comes first where it may compute: meanwhile other threads take what is left. */
  #lookAgain(): void {
    if (this.#appetite.short || this.#held === 0) this.look();
    else setImmediate(() => this.look());
  }

  /** No more claims. Resolves when one under way has been answered, and what it brought is given back. */
  async quiet(): Promise<void> {
    this.#quiet = true;
    clearTimeout(this.#retry);
    await this.#claiming;
  }

  /** What the executor says of the jobs. */
  report(report: Report): void {
    const { broker } = this.#parts;
    if (report.progress.length > 0) broker.report(report.progress);
    // Both are tried until they have come through, or the thread ends: then the supervisor says what becomes of its jobs.
    if (report.log.length > 0) broker.log(report.log).catch(() => {});
    if (report.freed.length > 0) {
      this.#appetite.tookTooMany(this.#parts.running());
      this.#release(report.freed, 0);
    }
    if (report.ended.length > 0) this.#settle(report.ended);
  }

  async #claim(max: number): Promise<void> {
    const { broker, request } = this.#parts;
    try {
      const asked = performance.now();
      const jobs = await broker.claim({ ...request, max });
      this.#more = jobs.length >= max;
      const wanted = !this.#quiet && performance.now() - asked < STALE_MS;
      if (jobs.length === 0) return;
      if (wanted) this.#take(jobs);
      else await this.#giveBack(jobs);
    } catch (error) {
      this.#more = false;
      // Where the broker is away, its return is told.
      if (!this.#quiet && !(error instanceof Unavailable)) this.#retry = setTimeout(() => this.look(), RETRY_MS);
    }
  }

  async #giveBack(jobs: readonly Job[]): Promise<void> {
    const { broker, request, clock } = this.#parts;
    const at = clock.now();
    await broker.settle(
      request.worker,
      jobs.map(({ id, fence }) => ({ kind: "released", id, fence, at })),
    );
  }

  #take(jobs: readonly Job[]): void {
    const { table, clock, send, run } = this.#parts;
    const at = clock.now();
    this.#held += jobs.length;
    const items = jobs.map((job) => ({ slot: this.#free.pop() as number, job }));
    send({
      kind: "took",
      at,
      jobs: items.map(({ slot, job: { id, fence, name, owner, attempt } }) => ({
        slot,
        turn: table.assign(slot),
        id,
        fence,
        name,
        owner,
        attempt,
      })),
    });
    run(items);
  }

  #settle(ended: Report["ended"]): void {
    const { broker, request, table } = this.#parts;
    for (const { slot, outcome } of ended) this.#appetite.ran(outcome.at - table.lastBegunAt(slot));
    broker
      .settle(
        request.worker,
        ended.map(({ outcome }) => outcome),
      )
      .then(() =>
        this.#release(
          ended.map(({ slot }) => slot),
          ended.length,
        ),
      )
      // The broker has been stopped: the thread ends.
      .catch(() => {});
  }

  #release(slots: readonly number[], ended: number): void {
    const { table, send, heapBytes } = this.#parts;
    for (const slot of slots) {
      table.free(slot);
      this.#free.push(slot);
    }
    this.#held -= slots.length;
    send({ kind: "free", slots, ended, heapBytes: heapBytes() });
    if (this.#again || this.#more) this.look();
  }
}
