import { describe, expect, test } from "bun:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import type { JsonSchema } from "../../src/domain/definition.ts";
import { metaErrors } from "../../src/domain/meta-schema.ts";

const SOUND: readonly JsonSchema[] = [
  {},
  { type: "object", properties: { a: { type: ["string", "null"] } }, required: ["a"], additionalProperties: false },
  { $defs: { tree: { type: "object", properties: { left: { $ref: "#/$defs/tree" } } } }, $ref: "#/$defs/tree" },
  { anyOf: [true, { enum: [1, "a", null] }, { const: { deep: [] } }], unevaluatedProperties: false },
  { prefixItems: [{ type: "integer", minimum: 1 }], items: false, dependentRequired: { a: ["b"] } },
  { type: "string", format: "no such format", description: "text", "x-own": {} },
];
const UNSOUND: readonly JsonSchema[] = [
  { type: "objekt" },
  { type: ["string", "string"] },
  { required: ["a", "a"] },
  { required: [1] },
  { properties: { a: { minimum: "1" } } },
  { properties: { a: { properties: { b: { items: { minLength: -1 } } } } } },
  { $defs: { a: { type: 1 } } },
  { anyOf: [] },
  { enum: 1 },
  { prefixItems: {} },
  { patternProperties: { "^a": { uniqueItems: "yes" } } },
  { dependentRequired: { a: ["b", "b"] } },
];

describe("JSON Schema's own schema, made with the executable, says what ajv says itself", () => {
  for (const schema of [...SOUND, ...UNSOUND]) {
    test(JSON.stringify(schema), () => {
      const ajv = new Ajv2020({ strict: false, logger: false });
      const sound = ajv.validateSchema(schema) === true;
      expect(metaErrors(schema) as unknown).toEqual(sound ? [] : ajv.errors);
      expect(sound).toBe(SOUND.includes(schema));
    });
  }
});
