/** Jobs that take less than this are short, in milliseconds on average. */
const SHORT_MS = 2;
/** How much the latest job counts in that average. */
const MEAN_SHARE = 0.05;
/** After a claim that was too large, so many jobs must begin at once before more are claimed; twice as many after the next. */
const FIRST_PATIENCE = 4;
const MAX_PATIENCE = 4_096;

/**
 * How many jobs a thread should have at a time. Short ones come in larger numbers, so that it need not wait for the next;
 * where one keeps the thread busy and others could not begin, fewer, until it has proven to run them side by side.
 */
export class Appetite {
  readonly #atOnce: number;
  readonly #most: number;
  #meanMs = Number.POSITIVE_INFINITY;
  #room: number;
  #begun = 0;
  #patience = FIRST_PATIENCE;

  /**
   * @param atOnce how many it runs at the same time
   * @param most how many it can hold
   */
  constructor(atOnce: number, most: number) {
    this.#atOnce = atOnce;
    this.#most = most;
    this.#room = atOnce;
  }

  get jobs(): number {
    return this.#meanMs < SHORT_MS ? this.#most : this.#room;
  }

  /** A job is over. */
  ran(ms: number): void {
    this.#meanMs = Number.isFinite(this.#meanMs) ? this.#meanMs + (ms - this.#meanMs) * MEAN_SHARE : ms;
    this.#begun += 1;
    if (this.#room >= this.#atOnce || this.#begun < this.#patience) return;
    this.#begun = 0;
    this.#room = Math.min(this.#atOnce, this.#room * 2);
  }

  /** Jobs had to be taken back because they could not begin beside so many others. */
  tookTooMany(running: number): void {
    this.#meanMs = Number.POSITIVE_INFINITY;
    this.#room = Math.max(1, Math.min(this.#room, running));
    this.#begun = 0;
    this.#patience = Math.min(MAX_PATIENCE, this.#patience * 2);
  }
}
