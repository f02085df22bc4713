/**
 * One thread's slots in shared memory: which job is merely assigned and which has begun, seen from both sides at once
 * without a message. A job that has not begun can be taken back; a race for it is decided by compare-and-exchange.
 */
const FREE = 0;
const ASSIGNED = 1;
const RUNNING = 2;
const REVOKED = 3;
/** Over, but nobody has been told yet. */
const ENDED = 4;

export class SlotTable {
  readonly size: number;
  readonly buffer: SharedArrayBuffer;
  /** Milliseconds since 1970 UTC at which each slot's job began. */
  readonly #begunAt: Float64Array;
  readonly #state: Int32Array;

  constructor(size: number, buffer: SharedArrayBuffer = new SharedArrayBuffer(size * 12)) {
    this.size = size;
    this.buffer = buffer;
    this.#begunAt = new Float64Array(buffer, 0, size);
    this.#state = new Int32Array(buffer, size * 8, size);
  }

  /** Main: a job is on its way to the thread. */
  assign(slot: number): void {
    Atomics.store(this.#state, slot, ASSIGNED);
  }

  /** Main: takes back a job that has not begun. @returns false when it has */
  revoke(slot: number): boolean {
    return Atomics.compareExchange(this.#state, slot, ASSIGNED, REVOKED) === ASSIGNED;
  }

  /** Thread: begins the job. @returns false when it was taken back */
  begin(slot: number, now: number): boolean {
    // Written before the state, so that whoever sees RUNNING sees this run's time.
    this.#begunAt[slot] = now;
    return Atomics.compareExchange(this.#state, slot, ASSIGNED, RUNNING) === ASSIGNED;
  }

  /** Thread: the job is over; its outcome is still to be sent. */
  end(slot: number): void {
    Atomics.store(this.#state, slot, ENDED);
  }

  /** Main: it has heard that the slot is free. */
  free(slot: number): void {
    Atomics.store(this.#state, slot, FREE);
  }

  /** Whether the slot's job began, however far it came. */
  hasBegun(slot: number): boolean {
    const state = Atomics.load(this.#state, slot);
    return state === RUNNING || state === ENDED;
  }

  /** When the slot's latest job began, milliseconds since 1970 UTC, whether or not it is over. */
  lastBegunAt(slot: number): number {
    return this.#begunAt[slot] ?? 0;
  }

  /** When the slot's job began, milliseconds since 1970 UTC; undefined: it has not, or is over. */
  begunAt(slot: number): number | undefined {
    return Atomics.load(this.#state, slot) === RUNNING ? this.#begunAt[slot] : undefined;
  }
}
