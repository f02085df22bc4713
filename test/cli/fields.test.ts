import { describe, expect, test } from "bun:test";
import { choicesOf, type Field, FieldError, fieldsOf, otherField, readField } from "../../src/cli/client/fields.ts";

const fieldOf = (schema: object, root: object = {}): Field => {
  const [field] = fieldsOf({ type: "object", properties: { x: schema }, ...root });
  if (!field) throw new Error("no field");
  return field;
};
const PLACE = { type: "object", properties: { at: { type: "number" }, next: { $ref: "#/$defs/place" } } };
const LOW_OR_HIGH = { anyOf: [{ const: "low" }, { const: "high" }] };

describe("what a text stands for", () => {
  test.each<[string, object, string[], unknown]>([
    ["text", { type: "string" }, ["5"], "5"],
    ["an empty text", { type: "string" }, [""], ""],
    ["a whole number", { type: "integer" }, ["-12"], -12],
    ["a whole number with an exponent", { type: "integer" }, ["1e3"], 1_000],
    ["a number", { type: "number" }, ["2.5"], 2.5],
    ["true", { type: "boolean" }, ["true"], true],
    ["null", { type: ["integer", "null"] }, ["null"], null],
    ["a value of an enum", { enum: ["a", "b"] }, ["b"], "b"],
    ["a number of an enum", { enum: [1, 2] }, ["2"], 2],
    ["a value of a union", LOW_OR_HIGH, ["high"], "high"],
    ["a list by repetition", { type: "array", items: { type: "integer" } }, ["1", "2"], [1, 2]],
    ["a list of one", { type: "array", items: { type: "string" } }, ["a"], ["a"]],
    ["a list as JSON", { type: "array", items: { type: "integer" } }, ["[1, 2]"], [1, 2]],
    ["an object", { type: "object" }, ['{"a":1}'], { a: 1 }],
    ["anything: JSON", {}, ["[true]"], [true]],
    ["anything: text", {}, ["plain words"], "plain words"],
    ["anything, more than once", {}, ["1", "a"], [1, "a"]],
    ["the narrower of two", { anyOf: [{ type: "string" }, { type: "integer" }] }, ["5"], 5],
    ["the other of two", { anyOf: [{ type: "string" }, { type: "integer" }] }, ["five"], "five"],
    ["all of several", { allOf: [{ type: "integer" }, { minimum: 1 }] }, ["5"], 5],
  ])("%s", (_, schema, texts, value) => {
    expect(readField(fieldOf(schema), texts)).toEqual(value);
  });

  test.each<[object, string[], string]>([
    [{ type: "integer" }, ["1.5"], 'must be a whole number, not "1.5"'],
    [{ type: "integer" }, [""], "must be a whole number"],
    [{ type: "integer" }, ["0x10"], "must be a whole number"],
    [{ type: "integer" }, ["9007199254740993"], "must be a whole number"],
    [{ type: "number" }, ["1e999"], "must be a number"],
    [{ type: "number" }, [" 1"], "must be a number"],
    [{ type: "boolean" }, ["yes"], 'must be true or false, not "yes"'],
    [LOW_OR_HIGH, ["middle"], 'must be low or high, not "middle"'],
    [{ enum: ["a", 1] }, ["2"], "must be one of a, 1"],
    [{ type: "object" }, ["[]"], "must be an object as JSON"],
    [{ type: "array", items: { type: "integer" } }, ["1", "b"], 'must be a list: given several times, or as JSON, not "1", "b"'],
    [{ type: "string" }, ["a", "b"], "can be given once only"],
  ])("%j is not %j", (schema, texts, message) => {
    expect(() => readField(fieldOf(schema), texts)).toThrow(FieldError);
    expect(() => readField(fieldOf(schema), texts)).toThrow(message);
  });

  test("references are followed, and one that leads to itself has an end", () => {
    const field = fieldOf({ $ref: "#/$defs/place" }, { $defs: { place: PLACE } });
    expect(field.fields.map(({ name }) => name)).toEqual(["at", "next"]);
    expect(field.fields[1]?.fields[1]?.fields[0]?.name).toBe("at");
    expect(readField(field, ['{"at":1}'])).toEqual({ at: 1 });
    const list = fieldOf({ type: "array", items: { $ref: "#/$defs/n" } }, { $defs: { n: { type: "integer" } } });
    expect(readField(list, ["1", "2"])).toEqual([1, 2]);
    expect(readField(fieldOf({ $ref: "#/$defs/loop" }, { $defs: { loop: { $ref: "#/$defs/loop" } } }), ["1"])).toBe(1);
  });
});

describe("the fields of an input", () => {
  test("what is required, described and has a default", () => {
    const fields = fieldsOf({
      type: "object",
      required: ["url"],
      properties: { url: { type: "string", description: "where" }, pages: { type: "integer", default: 3 } },
    });
    expect(fields.map(({ name, required, description, fallback }) => [name, required, description, fallback])).toEqual([
      ["url", true, "where", undefined],
      ["pages", false, undefined, 3],
    ]);
  });

  test("alternatives give the fields of all; required is what each of them requires", () => {
    const of = (kind: string, name: string) => ({
      type: "object",
      properties: { kind: { const: kind }, [name]: { type: "integer" } },
      required: ["kind", name],
    });
    const fields = fieldsOf({ anyOf: [of("a", "x"), of("b", "y")] });
    expect(fields.map(({ name, required }) => [name, required])).toEqual([
      ["kind", true],
      ["x", false],
      ["y", false],
    ]);
    expect(choicesOf(fields[0] as Field)).toEqual(["a", "b"]);
  });

  test("an object may have fields that its schema does not name", () => {
    expect(otherField({ type: "object", properties: {}, additionalProperties: false }, "x")).toBeUndefined();
    expect(otherField({ type: "string" }, "x")).toBeUndefined();
    expect(readField(otherField({}, "x") as Field, ["1"])).toBe(1);
    expect(readField(otherField({ type: "object", additionalProperties: { type: "string" } }, "x") as Field, ["1"])).toBe("1");
  });
});
