/** A longer crawl delay is cut to this: beyond it a crawl would never get through. In milliseconds. */
const MAX_DELAY_MS = 10_000;

/** Spaces requests to an origin by the crawl delay that its robots.txt asks for. */
export class Pacer {
  readonly #sleep: (ms: number) => Promise<void>;
  readonly #maxDelayMs: number;
  /** When the next request to an origin may start, in milliseconds of `performance.now()`. */
  readonly #free = new Map<string, number>();

  /** @param fairShareMs the longest delay with which all pages still fit into the task's time */
  constructor(sleep: (ms: number) => Promise<void>, fairShareMs: number) {
    this.#sleep = sleep;
    this.#maxDelayMs = Math.min(MAX_DELAY_MS, fairShareMs);
  }

  /** Waits for the turn; turns are given out in the order of the calls. */
  async wait(origin: string, delayMs: number): Promise<void> {
    if (delayMs <= 0) return;
    const now = performance.now();
    const turn = Math.max(now, this.#free.get(origin) ?? 0);
    this.#free.set(origin, turn + Math.min(delayMs, this.#maxDelayMs));
    if (turn > now) await this.#sleep(turn - now);
  }
}
