/** Jobs that take less than this are short, in milliseconds on average. */
const SHORT_MS = 2;
/** How much the latest job counts in that average. */
const MEAN_SHARE = 0.05;

/** How long a thread's jobs took lately; unknown at first, which counts as long. */
export class Pace {
  #meanMs = Number.POSITIVE_INFINITY;

  /** Whether they were short: then a thread may hold more of them than it runs at the same time. */
  get short(): boolean {
    return this.#meanMs < SHORT_MS;
  }

  /** A job is over. */
  ran(ms: number): void {
    this.#meanMs = Number.isFinite(this.#meanMs) ? this.#meanMs + (ms - this.#meanMs) * MEAN_SHARE : ms;
  }

  /** They turned out not to be short. */
  slowDown(): void {
    this.#meanMs = Number.POSITIVE_INFINITY;
  }
}
