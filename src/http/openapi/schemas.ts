/** JSON Schemas as the document shows them. */
import type { JsonSchema } from "../../domain/definition.ts";
import { isSchema, mapInner } from "../../domain/inner-schemas.ts";
import { canonical } from "../../domain/unique.ts";

export { isSchema, mapInner };
export type Schema = JsonSchema;

/** The same schema, said as people would: enums and nullable types instead of unions. */
export function tidy(schema: Schema): Schema {
  return foldRecord(foldUnion(mapInner(schema, tidy)));
}

/** TypeBox says of a record that each of its names matches anything. */
function foldRecord(schema: Schema): Schema {
  const { patternProperties: patterns, ...rest } = schema;
  if (!isSchema(patterns) || "additionalProperties" in rest || Object.keys(patterns).join() !== "^(.*)$") return schema;
  return { ...rest, additionalProperties: patterns["^(.*)$"] };
}

function foldUnion(schema: Schema): Schema {
  const { anyOf, ...rest } = schema;
  if (!Array.isArray(anyOf) || !anyOf.every(isSchema)) return schema;
  if (anyOf.every(isLiteral)) return { ...rest, type: "string", enum: anyOf.map((member) => member["const"]) };
  const [first, second] = anyOf;
  if (anyOf.length !== 2 || first === undefined || second === undefined) return schema;
  if (second["type"] === "null" && typeof first["type"] === "string" && !("enum" in first) && first["type"] !== "object")
    return { ...rest, ...first, type: [first["type"], "null"] };
  return schema;
}

function isLiteral(schema: Schema): boolean {
  return typeof schema["const"] === "string" && Object.keys(schema).every((keyword) => keyword === "const" || keyword === "type");
}

/**
 * Gives schemas names: wherever an equal one stands, a reference to the named one does.
 *
 * @returns `refer`, and the named schemas themselves for `components.schemas`
 */
export function nameSchemas(named: Readonly<Record<string, Schema>>) {
  const names = new Map(Object.entries(named).map(([name, schema]) => [canonical(schema), name]));
  const refer = (schema: Schema): Schema => {
    const name = names.get(canonical(schema));
    return name === undefined ? mapInner(schema, refer) : { $ref: schemaPath(name) };
  };
  const components = Object.fromEntries(Object.entries(named).map(([name, schema]) => [name, mapInner(schema, refer)]));
  return { refer, components };
}

export const schemaPath = (name: string): string => `#/components/schemas/${name}`;

/**
 * A schema that stood alone, for a place inside the document: what it refers to in itself is to be found there.
 *
 * @param home the reference that will lead to it
 */
export function relocate(schema: Schema, home: string): Schema {
  const marks = new Map<string, string>();
  collectMarks(schema, "", marks);
  const { $ref: whole, ...rest } = moved(schema, "", { home, base: "", marks });
  if (whole === undefined) return rest;
  // Many readers forget what stands beside a reference; here that is what it leads to.
  const others = Array.isArray(rest["allOf"]) ? rest["allOf"] : [];
  return { ...rest, allOf: [{ $ref: whole }, ...others] };
}

interface Move {
  readonly home: string;
  /** Where the nearest schema with an $id is: `#` means that one. */
  readonly base: string;
  /** JSON Pointers of what has an $id or an $anchor. */
  readonly marks: ReadonlyMap<string, string>;
}

function moved(schema: Schema, pointer: string, move: Move): Schema {
  const { $schema: _, $id: id, $anchor: __, ...rest } = schema;
  const here = id === undefined ? move : { ...move, base: pointer };
  const inner = mapInner(rest, (child, at) => moved(child, at, here), pointer);
  const reference = inner["$ref"];
  return typeof reference === "string" ? { ...inner, $ref: target(reference, here) } : inner;
}

function target(reference: string, { home, base, marks }: Move): string {
  const marked = marks.get(reference);
  if (marked !== undefined) return `${home}${marked}`;
  return reference === "#" || reference.startsWith("#/") ? `${home}${base}${reference.slice(1)}` : reference;
}

function collectMarks(schema: Schema, pointer: string, marks: Map<string, string>): void {
  if (typeof schema["$id"] === "string") marks.set(schema["$id"], pointer);
  if (typeof schema["$anchor"] === "string") marks.set(`#${schema["$anchor"]}`, pointer);
  mapInner(
    schema,
    (child, at) => {
      collectMarks(child, at, marks);
      return child;
    },
    pointer,
  );
}
