import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type Pattern, readPattern } from "../../src/domain/pattern-syntax.ts";
import { isPlainPattern } from "../../src/domain/plain-pattern.ts";

const PLAIN = [
  "^[a-z]+$",
  "^[a-z0-9]+(-[a-z0-9]+)*$",
  "^(.*)$",
  "^(0|[1-9][0-9]*)$",
  "^[a-f0-9]{8}-(?:[a-f0-9]{4}-){3}[a-f0-9]{12}$",
  "^\\d{4}-\\d\\d-\\d\\d(?:T\\d\\d:\\d\\d)?$",
  "^[Hh][Tt][Tt][Pp][Ss]?://[^\\s/?#]",
  "^\\s*\\S",
  "^a+?b$",
  "^(?:red|green|blue)$",
  "^[\\w.\\-]{1,64}$",
  "",
  "[0-9]{3}",
  "a|b",
  "^\\u0041+\\x42\\/$",
];
const NOT_PLAIN = [
  "^(a+)+$",
  "^(a*)*$",
  "^(a?){20}$",
  "^(?:a?)*$",
  "^(a|a)*$",
  "^(a|ab)*$",
  "^\\w+\\d$",
  "^.*x$",
  "^[a-z]*[a-y]*!$",
  "\\s+$",
  "a*b",
  "^a|b+$",
  "^(?:a|)(?:a|)$",
  "^(?:|)*$",
  "^(?=a)a$",
  "^(a)\\1$",
  "^\\p{L}+$",
  "^a{9999}$",
  "^[^\\d]+\\D$",
  "^(?:[a-c]x?)*[a]$",
  `^${"(".repeat(600)}${")".repeat(600)}$`,
];

describe("isPlainPattern", () => {
  for (const source of PLAIN) test(`takes ${source}`, () => expect(isPlainPattern(source)).toBe(true));
  for (const source of NOT_PLAIN) test(`does not take ${source.slice(0, 40)}`, () => expect(isPlainPattern(source)).toBe(false));
});

/** Steps of a search that goes back as JavaScript's does, and whether it found something; `places` are where it begins. */
function search(pattern: Pattern, text: string, places: number, closed: boolean): { found: boolean; steps: number } {
  let steps = 0;
  const match = (at: number, node: Pattern, next: (at: number) => boolean): boolean => {
    steps += 1;
    if (steps > 50_000) return true;
    if (node.kind === "choice") return node.parts.some((part) => match(at, part, next));
    if (node.kind === "sequence") return node.parts.reduceRight((after, part) => (to) => match(to, part, after), next)(at);
    if (node.kind === "set") {
      const code = text.codePointAt(at) ?? -1;
      return node.set.some(([from, to]) => from <= code && code <= to) && next(at + 1);
    }
    const { part, min, max } = node;
    const again = (count: number, from: number): boolean => {
      steps += 1;
      if (count < max && match(from, part, (to) => (to > from || count < min) && again(count + 1, to))) return true;
      return count >= min && next(from);
    };
    return again(0, at);
  };
  const starts = Array.from({ length: places }, (_, i) => i);
  const found = starts.some((start) => match(start, pattern, (at) => !closed || at === text.length));
  return { found, steps };
}

const atom = fc.constantFrom("a", "b", "c", "[ab]", "[^a]", "\\w", "x");
const { pattern: anyPattern } = fc.letrec<{ pattern: string }>((tie) => ({
  pattern: fc.oneof(
    { maxDepth: 4, depthSize: "small" },
    atom,
    fc.tuple(tie("pattern"), tie("pattern")).map(([a, b]) => a + b),
    fc.tuple(tie("pattern"), tie("pattern")).map(([a, b]) => `(?:${a}|${b})`),
    fc.tuple(tie("pattern"), fc.constantFrom("*", "+", "?", "{2}", "{1,3}", "*?")).map(([a, q]) => `(?:${a})${q}`),
  ),
}));
const anyText = fc
  .tuple(
    fc.array(fc.constantFrom("a", "b", "c", "x", "ab", "abc"), { minLength: 1, maxLength: 3 }),
    fc.constantFrom("", "!", "a"),
  )
  .map(([unit, end]) => unit.join("").repeat(60).slice(0, 120) + end);

describe("a search", () => {
  test("for a plain pattern takes steps in proportion to the text, and never many more", () => {
    fc.assert(
      fc.property(anyPattern, anyText, (inner, text) => {
        const source = `^${inner}$`;
        fc.pre(isPlainPattern(source));
        const read = readPattern(source);
        if (read === undefined) throw new Error("it was read before");
        const { found, steps } = search(read.pattern, text, 1, true);
        expect(steps).toBeLessThan((text.length + 1) * 4 * source.length);
        // What was read is what JavaScript reads.
        expect(found).toBe(new RegExp(source, "u").test(text));
      }),
      { numRuns: 2_000 },
    );
  });

  test("for one that is not can take more than can be counted", () => {
    const read = readPattern("^(a+)+$");
    if (read === undefined) throw new Error("it can be read");
    expect(search(read.pattern, `${"a".repeat(60)}!`, 1, true).steps).toBeGreaterThan(50_000);
  });
});
