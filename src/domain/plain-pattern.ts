import { areDisjoint, type CharacterSet } from "./character-set.ts";
import { type Pattern, readPattern } from "./pattern-syntax.ts";

/** So many characters of a pattern are looked at, repeated ones as often as they have to stand there. */
const POSITIONS_MAX = 256;
/** The same where the pattern may begin anywhere in the input: it is then tried at each place. */
const LOOSE_POSITIONS_MAX = 32;

/**
 * Whether a search for the pattern takes time that is linear in the input, in the way in which JavaScript searches: by going
 * back. It is so where at each step no more than one way goes on: then going back never leads further than one character.
 *
 * @param source of a regular expression with the flag `u`
 * @returns false as well where that cannot be told
 */
export function isPlainPattern(source: string): boolean {
  const read = readPattern(source);
  if (read === undefined) return false;
  const ways = new Ways();
  const whole = ways.of(read.pattern);
  if (whole === undefined || !ways.areDistinct(whole.first)) return false;
  return read.anchored || (!ways.loops && ways.size <= LOOSE_POSITIONS_MAX);
}

/** What of a pattern can come first and last, by position: a character's place in the pattern. */
interface Ends {
  readonly first: readonly number[];
  readonly last: readonly number[];
  /** It may be nothing at all. */
  readonly empty: boolean;
}

const NOTHING: Ends = { first: [], last: [], empty: true };

/** From which position of a pattern which others are reached: one as often as there are ways to it. */
class Ways {
  readonly #sets: CharacterSet[] = [];
  readonly #next: number[][] = [];
  loops = false;

  get size(): number {
    return this.#sets.length;
  }

  /** @returns undefined: there are too many of them, or two ways that a character could take */
  of(pattern: Pattern): Ends | undefined {
    const ends = this.#of(pattern);
    return ends !== undefined && this.#next.every((next) => this.areDistinct(next)) ? ends : undefined;
  }

  /** No character fits two of them. */
  areDistinct(positions: readonly number[]): boolean {
    return positions.every((one, i) =>
      positions.slice(i + 1).every((other) => areDisjoint(this.#sets[one] ?? [], this.#sets[other] ?? [])),
    );
  }

  #of(pattern: Pattern): Ends | undefined {
    if (pattern.kind === "set") return this.#position(pattern.set);
    if (pattern.kind === "repeat") return this.#repeated(pattern);
    return pattern.kind === "choice" ? this.#choice(pattern.parts) : this.#sequence(pattern.parts);
  }

  #position(set: CharacterSet): Ends | undefined {
    if (this.size >= POSITIONS_MAX) return undefined;
    const position = this.#sets.push(set) - 1;
    this.#next.push([]);
    return { first: [position], last: [position], empty: false };
  }

  #sequence(parts: readonly Pattern[]): Ends | undefined {
    let ends: Ends | undefined = NOTHING;
    for (const part of parts) ends = this.#joined(ends, this.#of(part));
    return ends;
  }

  #joined(before: Ends | undefined, after: Ends | undefined): Ends | undefined {
    if (before === undefined || after === undefined) return undefined;
    this.#lead(before.last, after.first);
    return {
      first: before.empty ? [...before.first, ...after.first] : before.first,
      last: after.empty ? [...before.last, ...after.last] : after.last,
      empty: before.empty && after.empty,
    };
  }

  /** Two choices that may be nothing are two ways that no character tells apart. */
  #choice(parts: readonly Pattern[]): Ends | undefined {
    let ends: Ends = { first: [], last: [], empty: false };
    for (const part of parts) {
      const own = this.#of(part);
      if (own === undefined || (ends.empty && own.empty)) return undefined;
      ends = { first: [...ends.first, ...own.first], last: [...ends.last, ...own.last], empty: ends.empty || own.empty };
    }
    return ends;
  }

  /** As often as it must stand there, and then once more, or any number of times. */
  #repeated({ part, min, max }: Extract<Pattern, { kind: "repeat" }>): Ends | undefined {
    let ends: Ends | undefined = NOTHING;
    for (let i = 0; i < min && ends !== undefined; i += 1) ends = this.#joined(ends, this.#repeatable(part));
    return max === min ? ends : this.#joined(ends, this.#optional(part, max > min + 1));
  }

  #optional(part: Pattern, often: boolean): Ends | undefined {
    const ends = this.#repeatable(part);
    if (ends !== undefined && often) {
      this.loops = true;
      this.#lead(ends.last, ends.first);
    }
    return ends && { ...ends, empty: true };
  }

  /** What may be nothing can be repeated in many ways. */
  #repeatable(part: Pattern): Ends | undefined {
    const ends = this.#of(part);
    return ends?.empty ? undefined : ends;
  }

  #lead(from: readonly number[], to: readonly number[]): void {
    for (const position of from) this.#next[position]?.push(...to);
  }
}
