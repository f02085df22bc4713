/** Sets of characters, as ranges of code points with both ends in them. */
export type CharacterSet = readonly (readonly [number, number])[];

const LAST = 0x10ffff;
const of = (characters: string): CharacterSet => [...characters].flatMap((each) => oneOf(each.codePointAt(0) ?? 0));

export const oneOf = (codePoint: number): CharacterSet => [[codePoint, codePoint]];
export const ANY: CharacterSet = [[0, LAST]];
const DIGITS: CharacterSet = [[0x30, 0x39]];
const WORD: CharacterSet = [...DIGITS, [0x41, 0x5a], [0x5f, 0x5f], [0x61, 0x7a]];
const SPACE: CharacterSet = [[0x09, 0x0d], [0x2000, 0x200a], ...of("\u0020\u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff")];

/** What `\d`, `\w` and `\s` stand for in a regular expression, and their opposites, by letter. */
export const CLASSES: Readonly<Record<string, CharacterSet>> = {
  d: DIGITS,
  D: allBut(DIGITS),
  w: WORD,
  W: allBut(WORD),
  s: SPACE,
  S: allBut(SPACE),
};

export function allBut(set: CharacterSet): CharacterSet {
  const left: (readonly [number, number])[] = [];
  let next = 0;
  for (const [from, to] of [...set].sort(([a], [b]) => a - b)) {
    if (from > next) left.push([next, from - 1]);
    next = Math.max(next, to + 1);
  }
  return next > LAST ? left : [...left, [next, LAST]];
}

export const areDisjoint = (some: CharacterSet, others: CharacterSet): boolean =>
  some.every(([from, to]) => others.every(([otherFrom, otherTo]) => to < otherFrom || otherTo < from));
