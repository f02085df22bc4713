/** What stands as `input` and `output` in a task file, as plain data. */
import { Kind, type TSchema } from "@sinclair/typebox";
import type { JsonSchema } from "../domain/definition.ts";
import { InvalidInput } from "../domain/errors.ts";
import { isStandardSchema, type StandardSchema } from "../domain/standard-schema.ts";

/** TypeBox's, or any library's that follows Standard Schema. */
export type Schema = TSchema | StandardSchema;

/** One of these says that an object is meant as JSON Schema. */
const KEYWORDS = ["$ref", "$defs", "allOf", "anyOf", "const", "description", "enum", "if", "not", "oneOf", "properties", "type"];

/**
 * A schema that is data: its objects closed, where it is an input's, unless they say otherwise. Of one that is code, all that
 * can be said here: anything may come.
 *
 * @throws InvalidInput `invalid_definition` where it is no schema
 */
export function dataOf(schema: Schema, field: "input" | "output"): JsonSchema {
  if (isStandardSchema(schema)) return {};
  refuseOther(schema, field);
  // JSON drops TypeBox's symbols and everything else that cannot cross a thread.
  const data = JSON.parse(JSON.stringify(schema)) as JsonSchema;
  return field === "input" ? (closeObjects(data) as JsonSchema) : data;
}

/**
 * @param schema JSON Schema of the input; undefined: its fields are not known
 * @throws InvalidInput `invalid_definition` where `unique` is neither true nor names of fields
 */
export function checkUnique(unique: unknown, schema: JsonSchema | undefined): void {
  if (unique === true) return;
  const fields = Object.keys((schema?.["properties"] as object | undefined) ?? {});
  const isName = (name: unknown): boolean => typeof name === "string" && (schema === undefined || fields.includes(name));
  if (!Array.isArray(unique) || unique.length === 0 || !unique.every(isName))
    throw new InvalidInput("invalid_definition", `"unique" must be true, or names of the input's fields: ${fields.join(", ")}`);
}

function refuseOther(schema: unknown, field: string): void {
  const wrong = (what: string): never => {
    throw new InvalidInput("invalid_definition", `"${field}" ${what}`);
  };
  if (typeof schema !== "object" || schema === null)
    return wrong("must be a schema: t.Object({...}), or one of zod, valibot, arktype or another library of Standard Schema");
  if (Kind in schema) return;
  const prototype: unknown = Object.getPrototypeOf(schema);
  if (prototype !== Object.prototype && prototype !== null)
    return wrong(
      `is no schema that is known here (${nameOf(prototype)}): it must follow Standard Schema 1, as zod does from 3.24 on`,
    );
  const keys = Object.keys(schema);
  if (keys.length > 0 && !keys.some((key) => KEYWORDS.includes(key)))
    wrong(`must be a schema: write t.Object({ ${keys[0]}: … }) around its fields`);
}

const nameOf = (prototype: unknown): string => (prototype as { constructor?: { name?: string } }).constructor?.name ?? "object";

function closeObjects(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(closeObjects);
  if (typeof node !== "object" || node === null) return node;
  const closed: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(node)) {
    // Schemas joined by allOf see each other's fields, so closing one would refuse the other's; literal values are no schemas.
    closed[key] =
      key === "allOf" || key === "const" || key === "enum" || key === "default" || key === "examples"
        ? value
        : closeObjects(value);
  }
  if (
    closed["type"] === "object" &&
    "properties" in closed &&
    !("additionalProperties" in closed) &&
    !("patternProperties" in closed)
  ) {
    closed["additionalProperties"] = false;
  }
  return closed;
}
