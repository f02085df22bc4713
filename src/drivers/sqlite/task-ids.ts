/** Ids of one millisecond that keep their order: the top bits of a UUIDv7's `rand_a`. */
const PER_MS = 1_024;
const UUID_V7 = /^([0-9a-f]{8})-([0-9a-f]{4})-7([0-9a-f]{3})-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
/** Random tails taken from the system at a time: a call for each would cost more than all the rest of an id. */
const TAILS = 256;
/** Two for the bits beside the place and the variant, 15 for the rest. */
const TAIL_DIGITS = 17;

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
  #key: number;
  #id = "";
  /** The first digits of an id of `#ms`, which many share. */
  #head = "";
  #ms = -1;
  /** Random hex digits, of which `#at` are used. */
  #tails = "";
  #at = 0;

  /** @param last the highest key that is taken; 0: none */
  constructor(last: number) {
    this.#key = last;
  }

  /** @param now milliseconds since 1970 UTC */
  next(now: number): string {
    this.#key = Math.max(this.#key + 1, now * PER_MS);
    const ms = Math.floor(this.#key / PER_MS);
    if (ms !== this.#ms) this.#begin(ms);
    const tail = this.#tail();
    const place = 0x7000 | ((this.#key % PER_MS) << 2) | (Number.parseInt(tail[0] as string, 16) & 3);
    // "8" to "b": the variant's two bits, then two random ones.
    const variant = "89ab"[Number.parseInt(tail[1] as string, 16) & 3];
    this.#id = `${this.#head}${place.toString(16)}-${variant}${tail.slice(2, 5)}-${tail.slice(5)}`;
    return this.#id;
  }

  /** As `keyOfId`; of the id made last, whose row is about to be stored, it is known. */
  keyOf(id: string): number | undefined {
    return id === this.#id ? this.#key : keyOfId(id);
  }

  #begin(ms: number): void {
    const digits = ms.toString(16).padStart(12, "0");
    this.#head = `${digits.slice(0, 8)}-${digits.slice(8)}-`;
    this.#ms = ms;
  }

  #tail(): string {
    if (this.#at === this.#tails.length) {
      this.#tails = crypto.getRandomValues(Buffer.alloc((TAILS * TAIL_DIGITS) / 2)).toString("hex");
      this.#at = 0;
    }
    this.#at += TAIL_DIGITS;
    return this.#tails.slice(this.#at - TAIL_DIGITS, this.#at);
  }
}
