import type { Broker, JobRef, Unsubscribe } from "../ports/broker.ts";
import type { Clock, Log, Service } from "../ports/runtime.ts";

interface Parts {
  readonly broker: Pick<Broker, "settle" | "leave" | "onReady" | "trouble">;
  /** The name under which the process before held its leases. */
  readonly worker: string;
  /** What was running in it when it ended. */
  readonly running: readonly JobRef[];
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Ends the leases of the process that served this data directory before: this one holds the directory, so that one is dead,
 * and nobody need wait for its silence. What ran there is suspected; what it had only claimed goes back at no cost.
 */
export class Predecessor implements Service {
  readonly #parts: Parts;
  #unsubscribe: Unsubscribe | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  start(): void {
    const { broker, log } = this.#parts;
    const bury = (): void => {
      if (broker.trouble() !== undefined) return;
      this.#unsubscribe?.();
      this.#bury().catch((error: unknown) => log.warn("could not end old leases: they run out", { error: String(error) }));
    };
    this.#unsubscribe = broker.onReady(bury);
    bury();
  }

  stop(): void {
    this.#unsubscribe?.();
  }

  async #bury(): Promise<void> {
    const { broker, worker, running, clock } = this.#parts;
    const at = clock.now();
    await broker.settle(
      worker,
      running.map(({ id, fence }) => ({ kind: "suspected", id, fence, at })),
    );
    await broker.leave(worker);
  }
}
