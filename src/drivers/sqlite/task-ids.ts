import { randomBytes } from "node:crypto";

/** Ids of one millisecond that keep their order: the top bits of a UUIDv7's `rand_a`. */
const PER_MS = 1_024;
const UUID_V7 = /^([0-9a-f]{8})-([0-9a-f]{4})-7([0-9a-f]{3})-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
/** Random tails taken from the system at a time: a call for each would cost more than all the rest of an id. */
const TAILS = 256;
const TAIL_BYTES = 9;

/**
 * The number that a task's id carries, which is its row's key: its millisecond and its place within it (RFC 9562, 6.2,
 * method 1). So an id is found without an index of ids, and rows lie in the order of acceptance.
 *
 * @returns undefined for what is no such id
 */
export function keyOfId(id: string): number | undefined {
  const parts = UUID_V7.exec(id);
  if (!parts) return undefined;
  const ms = Number.parseInt(`${parts[1]}${parts[2]}`, 16);
  return ms * PER_MS + (Number.parseInt(parts[3] as string, 16) >> 2);
}

/** Makes ids whose keys only grow, also when the clock goes back. */
export class TaskIds {
  #last: number;
  #tails = Buffer.alloc(0);
  #at = 0;

  /** @param last the highest key that is taken; 0: none */
  constructor(last: number) {
    this.#last = last;
  }

  /** @param now milliseconds since 1970 UTC */
  next(now: number): string {
    this.#last = Math.max(this.#last + 1, now * PER_MS);
    const ms = Math.floor(this.#last / PER_MS)
      .toString(16)
      .padStart(12, "0");
    const tail = this.#tail();
    const place = (((this.#last % PER_MS) << 2) | (Number.parseInt(tail.slice(0, 1), 16) & 3)).toString(16).padStart(3, "0");
    // "8" to "b": the variant's two bits, then two random ones.
    const variant = "89ab"[Number.parseInt(tail.slice(1, 2), 16) & 3];
    return `${ms.slice(0, 8)}-${ms.slice(8)}-7${place}-${variant}${tail.slice(2, 5)}-${tail.slice(5, 17)}`;
  }

  /** 18 random hex digits, of which an id needs 17. */
  #tail(): string {
    if (this.#at + TAIL_BYTES > this.#tails.length) {
      this.#tails = randomBytes(TAILS * TAIL_BYTES);
      this.#at = 0;
    }
    const tail = this.#tails.toString("hex", this.#at, this.#at + TAIL_BYTES);
    this.#at += TAIL_BYTES;
    return tail;
  }
}
