import { expect, test } from "bun:test";
import fc from "fast-check";
import { uniqueText } from "../../src/domain/unique.ts";

test("the whole input counts, or the named fields; their order does not", () => {
  const [a, b] = [
    { url: "x", deep: { one: 1, two: [1, 2] }, more: 1 },
    { more: 2, deep: { two: [1, 2], one: 1 }, url: "x" },
  ];
  expect(uniqueText(true, a)).not.toBe(uniqueText(true, b));
  expect(uniqueText(["url", "deep"], a)).toBe(uniqueText(["url", "deep"], b));
  expect(uniqueText(["more"], a)).not.toBe(uniqueText(["more"], b));
  expect(uniqueText(["none"], a)).toBe(uniqueText(["none"], { none: null }));
});

test("different inputs have different texts", () => {
  const json = fc.jsonValue();
  fc.assert(
    fc.property(json, json, (a, b) => {
      const [one, other] = [JSON.parse(JSON.stringify(a)), JSON.parse(JSON.stringify(b))];
      expect(uniqueText(true, one) === uniqueText(true, other)).toBe(Bun.deepEquals(one, other));
    }),
  );
});
