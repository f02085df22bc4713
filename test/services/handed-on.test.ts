import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { follow, tokensOf } from "../../src/domain/json-pointer.ts";
import type { Shape } from "../../src/domain/workflow-plan.ts";
import { HandedOn, TooLarge } from "../../src/services/handed-on.ts";

const MIB = 1024 * 1024;

/** Results in memory, which count how often they are asked for. */
function resultsOf(texts: readonly string[]) {
  const seen = { reads: 0 };
  const result = (task: number): string => {
    seen.reads += 1;
    return texts[task] ?? "null";
  };
  return { seen, result, resultBytes: (task: number) => Buffer.byteLength(texts[task] ?? "null") };
}

describe("what is handed on", () => {
  const shapes = fc.letrec<{ shape: Shape<number> }>((tie) => ({
    shape: fc.oneof({ maxDepth: 3 }, fc.nat(9), fc.array(tie("shape"), { minLength: 1, maxLength: 3 })),
  })).shape;

  test("is what the pointer leads to in the whole, whether that lies within a result or above", () => {
    const cases = fc.tuple(shapes, fc.array(fc.jsonValue(), { minLength: 10, maxLength: 10 }));
    fc.assert(
      fc.property(cases, fc.array(fc.nat(9)), ([shape, values], path) => {
        const handedOn = new HandedOn(resultsOf(values.map((value) => JSON.stringify(value))), shape);
        const comeTo = (at: Shape<number>): unknown => (typeof at === "number" ? values[at] : at.map(comeTo));
        const whole: unknown = JSON.parse(JSON.stringify(comeTo(shape)));
        // A walk that mostly leads somewhere.
        let pointer = "";
        for (const step of [...path, 0]) {
          const found = follow(whole, tokensOf(pointer) ?? []);
          const text = handedOn.text(pointer);
          expect(text === undefined ? undefined : JSON.parse(text)).toEqual(found);
          const names = typeof found === "object" && found !== null ? Object.keys(found) : [];
          const name = names[step % Math.max(1, names.length)] ?? "none";
          pointer += `/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;
        }
      }),
    );
  });

  test("is read once, however many references there are", () => {
    const results = resultsOf(new Array(500).fill("1"));
    const handedOn = new HandedOn(results, [...new Array(500).keys()]);
    for (let i = 0; i < 1_000; i += 1) for (const pointer of ["", "/0", "/1"]) handedOn.text(pointer);
    expect(results.seen.reads).toBe(502);
  });

  test("is bounded by itself, and by all that is asked for", () => {
    const large = JSON.stringify("x".repeat(5 * MIB));
    const handedOn = new HandedOn(resultsOf([large, large, `[${large},"small"]`]), [[0, 1], 2]);
    expect(() => handedOn.text("/0")).toThrow(TooLarge);
    expect(handedOn.text("/1/1")).toBe('"small"');
    const askAgain = (): void => {
      for (let i = 0; i < 30; i += 1) handedOn.text("/0/0");
    };
    expect(askAgain).toThrow(TooLarge);
  });
});
