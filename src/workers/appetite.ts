import { Pace } from "./pace.ts";

/**
 * How many jobs a thread should claim. Short ones come in large numbers, so that it need not wait for the next. Of others it
 * doubles its share from claim to claim, so that a few which compute are spread over the threads of all machines; and where one
 * keeps the thread busy and others could not begin, it takes fewer, until the thread is seen to run them side by side.
 */
export class Appetite {
  readonly #atOnce: number;
  readonly #most: number;
  readonly #pace = new Pace();
  #room: number;

  /**
   * @param atOnce how many it runs at the same time
   * @param most how many it can hold
   */
  constructor(atOnce: number, most: number) {
    this.#atOnce = atOnce;
    this.#most = most;
    this.#room = atOnce;
  }

  /** Whether the jobs of late were short. */
  get short(): boolean {
    return this.#pace.short;
  }

  /** How many more jobs it should have beside the `held` ones. */
  jobsBeside(held: number): number {
    if (this.short) return this.#most - held;
    return Math.min(this.#room - held, Math.max(1, held));
  }

  /** A job is over. */
  ran(ms: number): void {
    this.#pace.ran(ms);
  }

  /** The thread has so many jobs running and still comes to ask: it can run more beside them. */
  runsBeside(running: number): void {
    if (running >= this.#room) this.#room = Math.min(this.#atOnce, Math.max(this.#room, running) * 2);
  }

  /** Jobs had to be taken back because they could not begin beside so many others. */
  tookTooMany(running: number): void {
    this.#pace.slowDown();
    this.#room = Math.max(1, Math.min(this.#room, running));
  }
}
