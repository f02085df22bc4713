import { describe, expect, test } from "bun:test";
import { Type } from "@sinclair/typebox";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { t } from "elysia";
import fc from "fast-check";
import { exampleOf } from "../../src/http/openapi/example.ts";
import { nameSchemas, relocate, type Schema, tidy } from "../../src/http/openapi/schemas.ts";

const plain = (schema: object): Schema => JSON.parse(JSON.stringify(schema)) as Schema;
const ajv = () => new Ajv2020({ strict: false });

/** What is wrong with a value, told as the service does. */
function problemsOf(schema: Schema, value: unknown): readonly unknown[] {
  const checker = ajv();
  addFormats.default(checker);
  const check = checker.compile(schema);
  return check(value) ? [] : (check.errors ?? []);
}

describe("relocate", () => {
  const HOME = "#/components/schemas/it";
  const inDocument = (schema: object) => {
    const checker = ajv();
    checker.addSchema({ components: { schemas: { it: relocate(plain(schema), HOME) } } }, "document");
    return checker.compile({ $ref: `document${HOME}` });
  };

  test.each([
    [
      "a definition",
      { $ref: "#/$defs/a", $defs: { a: { type: "object", properties: { next: { $ref: "#/$defs/a" }, n: { type: "number" } } } } },
    ],
    ["the whole", { type: "object", properties: { next: { $ref: "#" }, n: { type: "number" } } }],
    [
      "an anchor",
      { $ref: "#a", $defs: { x: { $anchor: "a", type: "object", properties: { next: { $ref: "#a" }, n: { type: "number" } } } } },
    ],
    ["an id", Type.Recursive((self) => Type.Object({ next: Type.Optional(self), n: Type.Optional(Type.Number()) }))],
    [
      "a name that needs escaping",
      {
        $ref: "#/$defs/a~1b%20c",
        $defs: { "a/b c": { type: "object", properties: { next: { $ref: "#" }, n: { type: "number" } } } },
      },
    ],
  ])("keeps a reference to %s", (_, schema) => {
    const check = inDocument(schema);
    expect(check({ n: 1, next: { n: 2, next: {} } })).toBe(true);
    expect(check({ n: 1, next: { n: 2, next: { n: "3" } } })).toBe(false);
  });

  test("leaves a property alone that is called like a keyword", () => {
    const schema = {
      type: "object",
      properties: { $ref: { type: "string" }, $id: { type: "string" } },
      default: { $ref: "#/x" },
    };
    expect(relocate(schema, HOME)).toEqual(schema);
  });
});

describe("tidy", () => {
  test("says unions of literals, nullable types and records as people would", () => {
    expect(tidy(plain(t.Union([t.Literal("a"), t.Literal("b")], { description: "one" })))).toEqual({
      description: "one",
      type: "string",
      enum: ["a", "b"],
    });
    expect(tidy(plain(t.Union([t.String({ format: "date-time" }), t.Null()])))).toEqual({
      type: ["string", "null"],
      format: "date-time",
    });
    expect(tidy(plain(t.Record(t.String(), t.Boolean())))).toEqual({ type: "object", additionalProperties: { type: "boolean" } });
  });

  test("leaves other unions, and values, as they are", () => {
    const union = { anyOf: [{ type: "string" }, { type: "number" }] };
    const nullable = { anyOf: [{ type: "object", properties: {} }, { type: "null" }] };
    const value = { const: { anyOf: [{ const: "a", type: "string" }] } };
    for (const schema of [union, nullable, value]) expect(tidy(schema)).toEqual(schema);
  });
});

test("a named schema is referred to wherever an equal one stands, but not in its own place", () => {
  const status = { type: "string", enum: ["on", "off"] };
  const thing = { type: "object", properties: { status } };
  const { refer, components } = nameSchemas({ Status: status, Thing: thing });
  expect(
    refer({ type: "array", items: { properties: { status: { enum: ["on", "off"], type: "string" } }, type: "object" } }),
  ).toEqual({
    type: "array",
    items: { $ref: "#/components/schemas/Thing" },
  });
  expect(components).toEqual({
    Status: status,
    Thing: { type: "object", properties: { status: { $ref: "#/components/schemas/Status" } } },
  });
});

describe("exampleOf", () => {
  test.each<[string, object, unknown]>([
    [
      "what is required, and what has a default or an example",
      t.Object({
        a: t.String(),
        b: t.Optional(t.String()),
        c: t.Optional(t.Number({ default: 3 })),
        d: t.Optional(t.Boolean({ examples: [true] })),
      }),
      { a: "text", c: 3, d: true },
    ],
    ["the first example before the default", Type.String({ default: "d", examples: ["e"] }), "e"],
    ["a text of the format", Type.String({ format: "email" }), "ada@example.com"],
    ["a text that matches", Type.String({ pattern: "^https?://" }), "https://example.com/"],
    ["the first of several", Type.Union([Type.Literal(7), Type.Literal(8)]), 7],
    [
      "all of several",
      Type.Intersect([Type.Object({ a: Type.Null() }), Type.Object({ b: Type.Boolean() })]),
      { a: null, b: false },
    ],
    ["items", Type.Array(Type.Object({ id: Type.Integer() })), [{ id: 1 }]],
    ["as many items as there must be", Type.Array(Type.Integer(), { minItems: 2 }), [1, 1]],
    ["a tuple", { type: "array", prefixItems: [{ type: "integer" }, { type: "boolean" }] }, [1, false]],
    ["what a reference leads to", { $ref: "#/$defs/a", $defs: { a: { type: "integer", minimum: 5 } } }, 5],
  ])("gives %s", (_, schema, expected) => {
    expect(exampleOf(plain(schema))).toEqual(expected);
    expect(problemsOf(plain(schema), expected)).toEqual([]);
  });

  test("ends where a schema holds itself without end", () => {
    const endless = { type: "object", properties: { next: { $ref: "#" } }, required: ["next"] };
    expect(JSON.stringify(exampleOf(endless)).length).toBeLessThan(200);
    expect(exampleOf({ $ref: "#/nowhere" })).toBeNull();
    expect(exampleOf({ $ref: "#" })).toBeNull();
  });

  test("gives numbers within their limits", () => {
    const limits = fc.record({
      multiple: fc.integer({ min: -500, max: 500 }),
      step: fc.integer({ min: 1, max: 20 }),
      below: fc.nat({ max: 30 }),
      above: fc.nat({ max: 30 }),
      keyword: fc.constantFrom("multipleOf", "description"),
    });
    fc.assert(
      fc.property(limits, ({ multiple, step, below, above, keyword }) => {
        // One multiple of the step lies within the limits for sure.
        const limit = { minimum: multiple * step - below, maximum: multiple * step + above };
        const schema = { type: "integer", ...limit, [keyword]: keyword === "multipleOf" ? step : "" };
        expect(problemsOf(schema, exampleOf(schema))).toEqual([]);
      }),
    );
    expect(
      [{ exclusiveMinimum: 5 }, { exclusiveMaximum: -5 }, { minimum: 0.25, maximum: 0.5 }].map((limit) =>
        exampleOf({ type: "number", ...limit }),
      ),
    ).toEqual([6, -6, 0.5]);
  });

  test("gives texts of a length that fits", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 90 }), fc.integer({ min: 0, max: 90 }), (minLength, more) => {
        const schema = { type: "string", minLength, maxLength: minLength + more };
        expect(problemsOf(schema, exampleOf(schema))).toEqual([]);
      }),
    );
  });
});
