import { describe, expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { cheapPart } from "../../src/domain/cheap-schema.ts";
import type { JsonSchema } from "../../src/domain/definition.ts";
import { type Check, checkOf } from "../../src/domain/schema-check.ts";
import { builtinPolicies } from "../../src/tasks/builtin.ts";
import { LIMIT_MS } from "../support/waiting.ts";

// The validator makes programs of hundreds of schemas.
setDefaultTimeout(LIMIT_MS);

const COSTLY = "^(a+)+$";
const text = { type: "string" };
const listOf = (items: JsonSchema): JsonSchema => ({ type: "array", items });
const unionOf = (size: number): JsonSchema => ({ anyOf: Array.from({ length: size }, (_, i) => ({ const: i })) });

describe("what is cheap is left as it is", () => {
  const cheap: Readonly<Record<string, JsonSchema>> = {
    "plain fields": {
      type: "object",
      properties: { a: text, b: { type: "integer" } },
      required: ["a"],
      additionalProperties: false,
    },
    "plain patterns": {
      patternProperties: { "^(.*)$": text },
      propertyNames: { pattern: "^[a-z]+$" },
      additionalProperties: false,
    },
    uniqueItems: { ...listOf({ type: "object" }), uniqueItems: true },
    "small unions of list items": listOf(unionOf(8)),
    "large unions in one place": unionOf(200),
    references: { $defs: { a: text }, properties: { x: { $ref: "#/$defs/a" }, y: listOf({ $ref: "#/$defs/a" }) } },
    "fields that are named as keywords are": { properties: { pattern: text, format: text, $ref: text, not: text } },
    formats: { properties: { at: { ...text, format: "date-time" }, url: { ...text, format: "uri", maxLength: 2_000 } } },
    "values that look like schemas": { const: { pattern: COSTLY }, default: { pattern: COSTLY } },
  };
  for (const [what, schema] of Object.entries(cheap)) test(what, () => expect(cheapPart(schema)).toBe(schema));

  test("built-in tasks", () => {
    for (const { input } of builtinPolicies) expect(cheapPart(input)).toBe(input);
  });
});

describe("what is costly is left out", () => {
  test("a pattern or format alone, where nothing depends on it", () => {
    const rest = { ...text, maxLength: 9 };
    const schema = {
      type: "object",
      properties: { a: { ...rest, pattern: COSTLY }, b: { ...rest, format: "url" }, pattern: { ...text, default: "x" } },
      allOf: [{ properties: { a: { pattern: COSTLY } } }],
    };
    expect(cheapPart(schema)).toEqual({
      type: "object",
      properties: { a: rest, b: rest, pattern: { ...text, default: "x" } },
      allOf: [{ properties: { a: {} } }],
    });
  });

  const node = { anyOf: [{ properties: { a: { $ref: "#" } }, required: ["x"] }, { properties: { a: { $ref: "#" } } }] };
  const doubling = Object.fromEntries(
    Array.from({ length: 40 }, (_, i) => [
      `d${i}`,
      i === 39 ? text : { allOf: [{ $ref: `#/$defs/d${i + 1}` }, { $ref: `#/$defs/d${i + 1}` }] },
    ]),
  );
  const all: Readonly<Record<string, JsonSchema>> = {
    "a pattern that is turned around": { not: { pattern: COSTLY } },
    "a pattern in one of several": { oneOf: [{ pattern: COSTLY }, { type: "integer" }] },
    "a pattern that chooses": { if: { pattern: COSTLY }, else: { minLength: 9 } },
    "a pattern that chooses defaults": {
      anyOf: [{ pattern: COSTLY }, { $ref: "#/$defs/d" }],
      $defs: { d: { properties: { a: { default: 1 } } } },
    },
    "a pattern of names": { patternProperties: { [COSTLY]: text } },
    "a schema that holds itself": node,
    "references that double": { $defs: doubling, $ref: "#/$defs/d0" },
    "references to elsewhere": { $defs: { a: { $id: "a", ...text } }, properties: { a: { $ref: "a" } } },
    "dynamic references": { $dynamicAnchor: "a", properties: { a: { $dynamicRef: "#a" } } },
    "large unions of list items": listOf(unionOf(50)),
    "large enums of list items": listOf({ enum: Array.from({ length: 1_000 }, (_, i) => i) }),
    "formats without a limit": { anyOf: [{ not: { format: "uri" } }] },
  };
  for (const [what, schema] of Object.entries(all)) test(`all, by ${what}`, () => expect(cheapPart(schema)).toEqual({}));
});

const names = fc.constantFrom("a", "b");
const leaf: fc.Arbitrary<JsonSchema> = fc.constantFrom<JsonSchema>(
  { type: "string", pattern: "^(?:a|a)+$" },
  { type: "string", pattern: "^[a-m]+$" },
  { pattern: "a+b" },
  { type: "integer" },
  { format: "url", minLength: 2 },
  { uniqueItems: true },
  { $ref: "#/$defs/d" },
  { const: "ab" },
  {},
);
const { schema: anySchema } = fc.letrec<{ schema: JsonSchema }>((tie) => {
  const inner = tie("schema");
  const keyword = fc.oneof(
    fc.record({
      properties: fc.dictionary(
        names,
        fc.tuple(inner, fc.boolean()).map(([each, filled]) => (filled ? { ...each, default: "ab" } : each)),
      ),
    }),
    fc.record({ required: fc.uniqueArray(names) }),
    fc.record({ additionalProperties: fc.oneof(inner, fc.constant(false)) }),
    fc.record({ patternProperties: fc.dictionary(fc.constantFrom("^a", "(a|a)+b"), inner, { maxKeys: 1 }) }),
    fc.record({ propertyNames: inner }),
    fc.record({ items: inner }),
    fc.record({ contains: inner, maxContains: fc.constantFrom(1, 9) }),
    fc.record({ contains: inner }),
    fc.record({ anyOf: fc.array(inner, { minLength: 1, maxLength: 3 }) }),
    fc.record({ oneOf: fc.array(inner, { minLength: 1, maxLength: 3 }) }),
    fc.record({ allOf: fc.array(inner, { minLength: 1, maxLength: 3 }) }),
    fc.record({ not: inner }),
    fc.record({ if: inner, then: inner, else: inner }),
    fc.record({ dependentSchemas: fc.dictionary(names, inner, { maxKeys: 1 }) }),
    fc.record({ unevaluatedProperties: fc.constant(false) }),
    fc.record({ unevaluatedItems: inner }),
  );
  const several = fc.array(keyword, { minLength: 1, maxLength: 3 }).map((parts) => Object.assign({}, ...parts) as JsonSchema);
  return { schema: fc.oneof({ maxDepth: 3, depthSize: "small" }, leaf, several) };
});
const anyWhole = fc.tuple(anySchema, anySchema).map(([schema, d]): JsonSchema => ({ ...schema, $defs: { d } }));
const { value: anyValue } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3, depthSize: "small" },
    fc.constantFrom("a", "ab", "aab", "z", 1, 2, null),
    fc.dictionary(names, tie("value")),
    fc.array(tie("value"), { maxLength: 3 }),
  ),
}));

/** The validator breaks off at objects and lists: it has not declared what it keeps of their items. */
const LEFT_UNEVALUATED: JsonSchema = {
  oneOf: [
    {
      if: { anyOf: [{ $ref: "#/$defs/d" }, { pattern: "^(?:a|a)+$" }], not: {} },
      else: { allOf: [{ pattern: "^(?:a|a)+$" }] },
      allOf: [{ unevaluatedProperties: false }],
    },
    { unevaluatedProperties: false },
  ],
  $defs: { d: { contains: { pattern: "^(?:a|a)+$" } } },
};

/** What a check says of a value, and makes of it. */
function said(check: Check, value: unknown): { fits: boolean; filled: unknown } {
  const filled = structuredClone(value);
  return { fits: check(filled).length === 0, filled };
}

test("the cheap part takes what the whole takes, with the same defaults; both say what the whole says", () => {
  let parts = 0;
  fc.assert(
    fc.property(anyWhole, fc.array(anyValue, { minLength: 5, maxLength: 5 }), (schema, values) => {
      const part = cheapPart(schema);
      // One that refers to itself in its own place cannot be run at all.
      const whole = tryCheck(schema);
      fc.pre(whole !== undefined);
      if (whole === undefined || part === schema) return;
      if (Object.keys(part).length > 0) parts += 1;
      const cheap = checkOf({ input: part });
      for (const value of values) {
        const { fits, filled } = runs(whole, value) ?? { fits: false, filled: value };
        const first = said(cheap, value);
        const second = first.fits ? runs(whole, first.filled) : undefined;
        expect(second?.fits ?? false).toBe(fits);
        if (fits && Object.keys(part).length > 0) expect(first.filled).toEqual(filled);
        if (fits) expect(second?.filled).toEqual(filled);
      }
    }),
    { numRuns: 200, examples: [[LEFT_UNEVALUATED, ["a", [], {}, [], "a"]]] },
  );
  expect(parts).toBeGreaterThan(3);
});

function tryCheck(schema: JsonSchema): Check | undefined {
  try {
    return checkOf({ input: schema });
  } catch {
    return undefined;
  }
}

/** Undefined: the schema led to itself without end, or the validator broke off, as it can with what is left unevaluated. */
function runs(check: Check, value: unknown): { fits: boolean; filled: unknown } | undefined {
  try {
    return said(check, value);
  } catch (error) {
    const brokeOff = [RangeError, TypeError, ReferenceError].some((kind) => error instanceof kind);
    if (brokeOff) return undefined;
    throw error;
  }
}
