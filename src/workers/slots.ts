/**
 * One thread's slots in shared memory: which job is merely assigned and which has begun, seen from both sides at once
 * without a message. A job that has not begun can be taken back; a race for it is decided by compare-and-exchange. A slot's
 * turn counts its jobs, so that nobody takes the next one for the last.
 */
const FREE = 0;
const ASSIGNED = 1;
const RUNNING = 2;
const REVOKED = 3;
/** Over, but nobody has been told yet. */
const ENDED = 4;
/** A slot's word is its turn times this, plus its state. Turns begin anew long after whoever remembers one is gone. */
const STATES = 8;
const TURNS = 2 ** 28;

export class SlotTable {
  readonly size: number;
  readonly buffer: SharedArrayBuffer;
  /** Milliseconds since 1970 UTC at which each slot's job began. */
  readonly #begunAt: Float64Array;
  readonly #words: Uint32Array;

  constructor(size: number, buffer: SharedArrayBuffer = new SharedArrayBuffer(size * 12)) {
    this.size = size;
    this.buffer = buffer;
    this.#begunAt = new Float64Array(buffer, 0, size);
    this.#words = new Uint32Array(buffer, size * 8, size);
  }

  /** Whoever hands out the slots: a job is on its way. @returns the slot's turn */
  assign(slot: number): number {
    const turn = (this.#turn(slot) + 1) % TURNS;
    Atomics.store(this.#words, slot, turn * STATES + ASSIGNED);
    return turn;
  }

  /** Main: takes back a job that has not begun. @returns false when it has */
  revoke(slot: number, turn: number): boolean {
    const assigned = turn * STATES + ASSIGNED;
    return Atomics.compareExchange(this.#words, slot, assigned, turn * STATES + REVOKED) === assigned;
  }

  /** Thread: begins the job. @returns false when it was taken back */
  begin(slot: number, now: number): boolean {
    // Written before the state, so that whoever sees RUNNING sees this run's time.
    this.#begunAt[slot] = now;
    const word = this.#turn(slot) * STATES;
    return Atomics.compareExchange(this.#words, slot, word + ASSIGNED, word + RUNNING) === word + ASSIGNED;
  }

  /** Thread: the job is over; its outcome is still to be sent. */
  end(slot: number): void {
    Atomics.store(this.#words, slot, this.#turn(slot) * STATES + ENDED);
  }

  /** Whoever hands out the slots: it is free again. */
  free(slot: number): void {
    Atomics.store(this.#words, slot, this.#turn(slot) * STATES + FREE);
  }

  /** Whether the job of that turn began, however far it came. */
  hasBegun(slot: number, turn: number): boolean {
    const word = Atomics.load(this.#words, slot);
    return word === turn * STATES + RUNNING || word === turn * STATES + ENDED;
  }

  /** When the slot's latest job began, milliseconds since 1970 UTC, whether or not it is over. */
  lastBegunAt(slot: number): number {
    return this.#begunAt[slot] ?? 0;
  }

  /** When the job of that turn began, milliseconds since 1970 UTC; undefined: it has not, or is over. */
  begunAt(slot: number, turn: number): number | undefined {
    return Atomics.load(this.#words, slot) === turn * STATES + RUNNING ? this.#begunAt[slot] : undefined;
  }

  #turn(slot: number): number {
    return Math.floor(Atomics.load(this.#words, slot) / STATES);
  }
}
