/** JSON Schemas and the schemas inside of them. */

import type { JsonSchema } from "./definition.ts";

/** Keywords that hold one schema, a list of them, or schemas by name. */
const SINGLE = [
  "additionalItems",
  "additionalProperties",
  "contains",
  "else",
  "if",
  "items",
  "not",
  "propertyNames",
  "then",
  "unevaluatedItems",
  "unevaluatedProperties",
];
const LISTS = ["allOf", "anyOf", "items", "oneOf", "prefixItems"];
const NAMED = ["$defs", "definitions", "dependentSchemas", "patternProperties", "properties"];

export function isSchema(value: unknown): value is JsonSchema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

type Change = (child: JsonSchema, pointer: string) => JsonSchema;

/** The schema with each schema directly inside it changed; `pointer` is the JSON Pointer of `schema`. */
export function mapInner(schema: JsonSchema, change: Change, pointer = ""): JsonSchema {
  const result: Record<string, unknown> = { ...schema };
  const at = (value: unknown, ...steps: readonly (string | number)[]): unknown =>
    isSchema(value) ? change(value, [pointer, ...steps.map(pointerStep)].join("/")) : value;
  for (const keyword of SINGLE) if (keyword in schema) result[keyword] = at(schema[keyword], keyword);
  for (const keyword of LISTS) {
    const list = schema[keyword];
    if (Array.isArray(list)) result[keyword] = list.map((value, index) => at(value, keyword, index));
  }
  for (const keyword of NAMED) {
    const named = schema[keyword];
    if (!isSchema(named)) continue;
    result[keyword] = Object.fromEntries(Object.entries(named).map(([name, value]) => [name, at(value, keyword, name)]));
  }
  return result;
}

/** RFC 6901, in a URI's fragment. */
function pointerStep(step: string | number): string {
  return encodeURIComponent(String(step).replaceAll("~", "~0").replaceAll("/", "~1"));
}
