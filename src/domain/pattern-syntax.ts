import { ANY, allBut, type CharacterSet, CLASSES, oneOf } from "./character-set.ts";

/** A regular expression, as far as it is read here. */
export type Pattern =
  | { readonly kind: "set"; readonly set: CharacterSet }
  | { readonly kind: "sequence"; readonly parts: readonly Pattern[] }
  | { readonly kind: "choice"; readonly parts: readonly Pattern[] }
  /** `max` may be Infinity. */
  | { readonly kind: "repeat"; readonly part: Pattern; readonly min: number; readonly max: number };

export interface ReadPattern {
  readonly pattern: Pattern;
  /** It begins with `^`, which holds for all of it. */
  readonly anchored: boolean;
}

const CONTROLS: Readonly<Record<string, number>> = { t: 9, n: 10, v: 11, f: 12, r: 13, "0": 0 };
/** What may be escaped to stand for itself; inside of brackets the hyphen as well. */
const SYNTAX = "^$\\.*+?()[]{}|/";

/** Longer ones are not read. In UTF-16 units. */
const LENGTH_MAX = 1_000;

/** Thrown where the pattern holds what is not read here. */
class Unread extends Error {}

/**
 * Reads a regular expression with the flag `u`: characters, classes, groups, choices and quantifiers, `^` at its beginning and
 * `$` at its end.
 *
 * @returns undefined where it holds anything else, such as references back, looks ahead or properties of Unicode
 */
export function readPattern(source: string): ReadPattern | undefined {
  if (source.length > LENGTH_MAX) return undefined;
  try {
    return new Reader(source).whole();
  } catch (error) {
    if (error instanceof Unread) return undefined;
    throw error;
  }
}

class Reader {
  readonly #characters: readonly string[];
  #at = 0;

  constructor(source: string) {
    this.#characters = [...source];
  }

  whole(): ReadPattern {
    const anchored = this.#take("^");
    const first = this.#sequence();
    const closed = this.#take("$");
    if (this.#at === this.#characters.length) return { pattern: first, anchored };
    // An anchor would hold for one of the choices alone.
    if (anchored || closed) throw new Unread();
    const pattern = this.#choice(first);
    if (this.#at < this.#characters.length) throw new Unread();
    return { pattern, anchored };
  }

  #peek(): string | undefined {
    return this.#characters[this.#at];
  }

  #next(): string {
    const character = this.#characters[this.#at++];
    if (character === undefined) throw new Unread();
    return character;
  }

  #take(text: string): boolean {
    const found = [...text].every((character, i) => this.#characters[this.#at + i] === character);
    if (found) this.#at += text.length;
    return found;
  }

  #choice(first: Pattern): Pattern {
    const parts = [first];
    while (this.#take("|")) parts.push(this.#sequence());
    return parts.length === 1 ? first : { kind: "choice", parts };
  }

  #sequence(): Pattern {
    const parts: Pattern[] = [];
    for (let next = this.#peek(); next !== undefined && !"|)$".includes(next); next = this.#peek())
      parts.push(this.#quantified(this.#atom()));
    return { kind: "sequence", parts };
  }

  #atom(): Pattern {
    const character = this.#next();
    if (character === "(") return this.#group();
    if (character === "[") return { kind: "set", set: this.#brackets() };
    if (character === "\\") return { kind: "set", set: this.#escape("") };
    // Line ends are not in it; a larger set does no harm here.
    if (character === ".") return { kind: "set", set: ANY };
    if (SYNTAX.includes(character) && character !== "/") throw new Unread();
    return { kind: "set", set: oneOf(character.codePointAt(0) ?? 0) };
  }

  #group(): Pattern {
    if (this.#take("?") && !this.#take(":")) throw new Unread();
    const inner = this.#choice(this.#sequence());
    if (!this.#take(")")) throw new Unread();
    return inner;
  }

  #quantified(part: Pattern): Pattern {
    const bounds = this.#bounds();
    if (bounds === undefined) return part;
    // A lazy one tries the same in another order.
    this.#take("?");
    return { kind: "repeat", part, ...bounds };
  }

  #bounds(): { readonly min: number; readonly max: number } | undefined {
    if (this.#take("*")) return { min: 0, max: Number.POSITIVE_INFINITY };
    if (this.#take("+")) return { min: 1, max: Number.POSITIVE_INFINITY };
    if (this.#take("?")) return { min: 0, max: 1 };
    if (!this.#take("{")) return undefined;
    const min = this.#count() ?? Number.NaN;
    const max = this.#take(",") ? (this.#count() ?? Number.POSITIVE_INFINITY) : min;
    if (!this.#take("}") || !(min <= max)) throw new Unread();
    return { min, max };
  }

  #count(): number | undefined {
    let digits = "";
    for (let next = this.#peek(); next !== undefined && /\d/.test(next); next = this.#peek()) digits += this.#next();
    return digits === "" ? undefined : Number(digits);
  }

  #brackets(): CharacterSet {
    const negated = this.#take("^");
    const set: CharacterSet[] = [];
    while (!this.#take("]")) {
      const first = this.#member();
      const isRange = this.#peek() === "-" && this.#characters[this.#at + 1] !== "]";
      set.push(isRange ? this.#range(first) : first);
    }
    return negated ? allBut(set.flat()) : set.flat();
  }

  #member(): CharacterSet {
    const character = this.#next();
    return character === "\\" ? this.#escape("-") : oneOf(character.codePointAt(0) ?? 0);
  }

  #range(first: CharacterSet): CharacterSet {
    this.#take("-");
    const last = this.#member();
    return [[single(first), single(last)]];
  }

  /** @param more what may be escaped here beside SYNTAX */
  #escape(more: string): CharacterSet {
    const letter = this.#next();
    const known = CLASSES[letter];
    if (known !== undefined) return known;
    const control = CONTROLS[letter];
    if (control !== undefined) return oneOf(control);
    if (letter === "x") return oneOf(this.#hexadecimal(2));
    // Halves of pairs mean the whole there: they are left unread.
    if (letter === "u" && this.#peek() !== "{") return oneOf(notSurrogate(this.#hexadecimal(4)));
    if (!(SYNTAX + more).includes(letter)) throw new Unread();
    return oneOf(letter.codePointAt(0) ?? 0);
  }

  #hexadecimal(digits: number): number {
    const text = Array.from({ length: digits }, () => this.#next()).join("");
    if (!/^[0-9a-fA-F]+$/.test(text)) throw new Unread();
    return Number.parseInt(text, 16);
  }
}

function single(set: CharacterSet): number {
  const [range, ...others] = set;
  if (range === undefined || others.length > 0 || range[0] !== range[1]) throw new Unread();
  return range[0];
}

function notSurrogate(unit: number): number {
  if (unit >= 0xd800 && unit <= 0xdfff) throw new Unread();
  return unit;
}
