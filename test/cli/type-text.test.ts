import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { clientFile } from "../../src/cli/typed/client-file.ts";
import { declare, type Side } from "../../src/cli/typed/type-text.ts";

/** The type as one line, with what it refers to behind it. */
const typed = (schema: object, side: Side = "input"): string[] =>
  declare("X", schema as never, side).map((text) => text.replace(/^export type /, "").replaceAll(/\s+/g, " "));
const one = (schema: object, side?: Side): string => typed(schema, side)[0]?.replace(/^X = (.*);$/, "$1") ?? "";

describe("JSON Schema as TypeScript", () => {
  test("plain types, enums, constants, null", () => {
    expect(one({ type: "integer" })).toBe("number");
    expect(one({ type: ["string", "null"] })).toBe("string | null");
    expect(one({ enum: ["a", 1, null] })).toBe('"a" | 1 | null');
    expect(one({ const: { a: [1] } })).toBe('{"a":[1]}');
    expect(one({ type: "string", nullable: true })).toBe("string | null");
    expect(one({})).toBe("unknown");
    expect(one({ type: "strange" })).toBe("unknown");
    expect(one({ not: {} })).toBe("unknown");
  });

  test("objects: what is required, what has a default, odd names, other fields", () => {
    const properties = { a: { type: "string" }, b: { type: "number", default: 1 }, "c-d": { type: "boolean" }, $e: {} };
    const schema = { type: "object", required: ["a", "b"], properties };
    expect(one(schema)).toBe('{ a: string; b?: number; "c-d"?: boolean; $e?: unknown; }');
    expect(one(schema, "output")).toBe('{ a: string; b: number; "c-d"?: boolean; $e?: unknown; }');
    expect(one({ ...schema, properties: { a: {} }, additionalProperties: true })).toBe(
      "{ a: unknown; [name: string]: unknown; }",
    );
    expect(one({ type: "object", additionalProperties: { type: "number" } })).toBe("Record<string, number>");
    expect(one({ type: "object", patternProperties: { "^(.*)$": { type: "number" } } })).toBe("Record<string, number>");
    expect(one({ type: "object", properties: {}, additionalProperties: false })).toBe("Record<string, never>");
    expect(one({ type: "object" })).toBe("Record<string, unknown>");
  });

  test("lists and tuples", () => {
    expect(one({ type: "array", items: { type: "string" } })).toBe("readonly string[]");
    expect(one({ type: "array", items: { type: ["string", "null"] } }, "output")).toBe("(string | null)[]");
    expect(one({ type: "array", items: { type: "array", items: { type: "number" } } })).toBe("readonly (readonly number[])[]");
    const prefixItems = [{ type: "string" }, { type: "number" }];
    expect(one({ type: "array", prefixItems, minItems: 1, items: false }, "output")).toBe("[string, (number)?]");
    expect(one({ type: "array", items: prefixItems, additionalItems: { type: "null" }, minItems: 2 }, "output")).toBe(
      "[string, number, ...(null)[]]",
    );
  });

  test("unions, intersections and what only narrows", () => {
    expect(one({ anyOf: [{ const: "a" }, { type: "number" }, { const: "a" }] })).toBe('"a" | number');
    expect(one({ allOf: [{ type: "object", properties: { a: {} } }, { oneOf: [{ const: 1 }, { const: 2 }] }] })).toBe(
      "{ a?: unknown; } & (1 | 2)",
    );
    expect(one({ type: "object", properties: { a: {} }, anyOf: [{ required: ["a"] }, { minProperties: 2 }] })).toBe(
      "{ a?: unknown; }",
    );
    expect(one({ anyOf: [{ type: "string" }, {}] })).toBe("unknown");
  });

  test("references: into $defs, by $id and $anchor, to the whole, to nowhere", () => {
    const node = { type: "object", properties: { next: { $ref: "#/$defs/node" } } };
    expect(typed({ $ref: "#/$defs/node", $defs: { node } })).toEqual(["X = XNode;", "XNode = { next?: XNode; };"]);
    expect(typed({ type: "array", items: { $ref: "#" } })).toEqual(["X = readonly X[];"]);
    expect(typed({ $id: "T0", type: "array", items: { $ref: "T0" } })).toEqual(["X = readonly X[];"]);
    expect(typed({ anyOf: [{ $ref: "#it" }, { type: "null" }], $defs: { a: { $anchor: "it", type: "string" } } })).toEqual([
      "X = XIt | null;",
      "XIt = string;",
    ]);
    expect(one({ $ref: "https://example.com/elsewhere" })).toBe("unknown");
    const two = { "a-b": { type: "string" }, a_b: { type: "number" } };
    expect(
      typed({ prefixItems: [{ $ref: "#/$defs/a-b" }, { $ref: "#/$defs/a_b" }], items: false, minItems: 2, $defs: two }),
    ).toEqual(["X = readonly [XAB, XAB2];", "XAB = string;", "XAB2 = number;"]);
  });

  test("descriptions are comments, which nothing in them can end", () => {
    const schema = {
      type: "object",
      properties: { a: { description: "ends */ early\n  and goes on" }, b: { description: "b" } },
    };
    expect(declare("X", schema, "input")).toEqual([
      "export type X = {\n  /**\n   * ends *\\/ early\n   * and goes on\n   */\n  a?: unknown;\n  /** b */\n  b?: unknown;\n};",
    ]);
  });
});

test("a file of odd tasks compiles: names that are none, names that are alike, and no tasks at all", async () => {
  const directory = mkdtempSync(join(tmpdir(), "artel-types-"));
  try {
    const names = ["1st", "a-b", "a.b", "a_b", "task", "artel", "constructor"];
    const rest = { description: 'says "*/"', queue: "default", timeout_ms: 1, max_attempts: 1, input: { type: "object" } };
    const files = { odd: names.map((name) => ({ ...rest, name })), none: [] };
    for (const [name, definitions] of Object.entries(files))
      writeFileSync(join(directory, `${name}.ts`), clientFile("http://127.0.0.1:1", definitions));
    const tsc = join(import.meta.dir, "../../node_modules/typescript-7/bin/tsc");
    const flags = ["--noEmit", "--strict", "--target", "ESNext", "--module", "ESNext", "--types", "", "--lib", "ESNext,DOM"];
    const run = Bun.spawn([process.execPath, tsc, ...flags, "odd.ts", "none.ts"], { cwd: directory, stdout: "pipe" });
    expect(await run.stdout.text()).toBe("");
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("no two types of a file have one name, whatever tasks and definitions are called", () => {
  const input = {
    $defs: { Input: { type: "string" }, Output: {} },
    properties: { x: { $ref: "#/$defs/Input" }, y: { $ref: "#/$defs/Output" } },
  };
  const names = ["a", "a-input", "a-input-input", "a_input", "a-inputinput2"];
  const text = clientFile(
    "http://localhost",
    names.map((name) => ({ name, description: "", input, output: input }) as never),
  );
  const declared = [...text.matchAll(/^export type (\w+) =/gm)].map(([, name]) => name);
  expect(declared.length).toBeGreaterThan(names.length * 2);
  expect(new Set(declared).size).toBe(declared.length);
});
