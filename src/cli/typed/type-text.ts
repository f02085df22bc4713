/** JSON Schemas as TypeScript: what callers write, and what they get. What has no type that says it is `unknown`. */
import type { JsonSchema } from "../../domain/definition.ts";
import { resolve } from "../../http/openapi/example.ts";
import { isSchema, mapInner } from "../../http/openapi/schemas.ts";

/** `input`: what has a default may be left out, and lists may be read-only. */
export type Side = "input" | "output";

const PLAIN: Readonly<Record<string, string>> = {
  string: "string",
  number: "number",
  integer: "number",
  boolean: "boolean",
  null: "null",
};
const IDENTIFIER = /^[A-Za-z_$][\w$]*$/;
const STEP = "  ";

/**
 * Declarations of a type, and of those that its references lead to.
 *
 * @param name of the type; the others' names begin with it
 * @param taken names that the others must not have; theirs are put in
 * @returns `export type NAME = …;` first
 */
export function declare(name: string, schema: JsonSchema, side: Side, taken = new Set<string>()): readonly string[] {
  return new Declarations(name, schema, side, taken).all();
}

/** As the value of a type: quotes where a name is no identifier. */
export const propertyName = (name: string): string => (IDENTIFIER.test(name) ? name : JSON.stringify(name));

/** A comment above a declaration, ended by a line break; empty where there is nothing to say. */
export function docComment(text: unknown, indent: string): string {
  if (typeof text !== "string" || text.trim() === "") return "";
  const rows = text
    .trim()
    .replaceAll("*/", "*\\/")
    .split(/\s*\n\s*/);
  if (rows.length === 1) return `${indent}/** ${rows[0]} */\n`;
  return `${indent}/**\n${rows.map((row) => `${indent} * ${row}\n`).join("")}${indent} */\n`;
}

class Declarations {
  readonly #name: string;
  readonly #root: JsonSchema;
  readonly #side: Side;
  /** Names by what is referred to. */
  readonly #names = new Map<unknown, string>();
  readonly #taken: Set<string>;
  readonly #texts: string[] = [];
  /** By $id and $anchor. */
  readonly #marked = new Map<string, JsonSchema>();

  constructor(name: string, root: JsonSchema, side: Side, taken: Set<string>) {
    this.#name = name;
    this.#root = root;
    this.#side = side;
    this.#taken = taken.add(name);
    this.#names.set(root, name);
    this.#mark(root);
  }

  all(): readonly string[] {
    const first = `export type ${this.#name} = ${this.#type(this.#root, "")};`;
    return [first, ...this.#texts];
  }

  #mark(schema: JsonSchema): void {
    if (typeof schema["$id"] === "string") this.#marked.set(schema["$id"], schema);
    if (typeof schema["$anchor"] === "string") this.#marked.set(`#${schema["$anchor"]}`, schema);
    mapInner(schema, (child) => {
      this.#mark(child);
      return child;
    });
  }

  /** All that a schema says holds together, so what each part says is joined by `&`. */
  #type(schema: unknown, indent: string): string {
    if (schema === false) return "never";
    if (!isSchema(schema)) return "unknown";
    const parts = [
      ...(typeof schema["$ref"] === "string" ? [this.#reference(schema["$ref"])] : []),
      ...this.#own(schema, indent),
      ...listOf(schema["allOf"]).map((each) => this.#type(each, indent)),
      ...["anyOf", "oneOf"].filter((key) => Array.isArray(schema[key])).map((key) => this.#union(listOf(schema[key]), indent)),
    ].filter((part) => part !== "unknown");
    const type = [...new Set(parts)].map((part) => (parts.length > 1 && part.includes(" | ") ? `(${part})` : part)).join(" & ");
    return schema["nullable"] === true ? `${type || "unknown"} | null` : type || "unknown";
  }

  /** What the schema says by itself. */
  #own(schema: JsonSchema, indent: string): string[] {
    if ("const" in schema) return [JSON.stringify(schema["const"])];
    if (Array.isArray(schema["enum"])) return [schema["enum"].map((value) => JSON.stringify(value)).join(" | ") || "never"];
    const types = schema["type"] ?? guessed(schema);
    return types === undefined ? [] : [unionOf(listOf(types).map((type) => this.#ofType(type, schema, indent)))];
  }

  #union(members: readonly unknown[], indent: string): string {
    return unionOf(members.map((each) => this.#type(each, indent)));
  }

  #ofType(type: unknown, schema: JsonSchema, indent: string): string {
    if (type === "object") return this.#object(schema, indent);
    if (type === "array") return this.#array(schema, indent);
    return PLAIN[String(type)] ?? "unknown";
  }

  #object(schema: JsonSchema, indent: string): string {
    const fields = Object.entries(isSchema(schema["properties"]) ? schema["properties"] : {});
    const others = this.#others(schema, indent);
    if (fields.length === 0) return `Record<string, ${others ?? "unknown"}>`;
    const required = new Set(listOf(schema["required"]));
    const inner = indent + STEP;
    const rows = fields.map(([name, field]) => {
      const filledIn = this.#side === "input" && isSchema(field) && "default" in field;
      const mark = required.has(name) && !filledIn ? "" : "?";
      const about = docComment(isSchema(field) && field["description"], inner);
      return `${about}${inner}${propertyName(name)}${mark}: ${this.#type(field, inner)};\n`;
    });
    const isOpen =
      others !== undefined && others !== "never" && (isSchema(schema["additionalProperties"]) || "patternProperties" in schema);
    const rest = isOpen || schema["additionalProperties"] === true ? `${inner}[name: string]: unknown;\n` : "";
    return `{\n${rows.join("")}${rest}${indent}}`;
  }

  /** The type of the fields that are not named; undefined: nothing is said of them. */
  #others({ additionalProperties: more, patternProperties: patterns }: JsonSchema, indent: string): string | undefined {
    const types = [
      ...(isSchema(patterns) ? Object.values(patterns) : []),
      ...(isSchema(more) || (more === false && !patterns) ? [more] : []),
    ];
    return types.length === 0 ? undefined : this.#union(types, indent);
  }

  #array(schema: JsonSchema, indent: string): string {
    const { items } = schema;
    const readonly = this.#side === "input" ? "readonly " : "";
    const first = Array.isArray(schema["prefixItems"]) ? schema["prefixItems"] : Array.isArray(items) ? items : undefined;
    if (first === undefined) {
      const each = this.#type(items, indent);
      return `${readonly}${/[ |&]/.test(each) && !each.startsWith("{") ? `(${each})` : each}[]`;
    }
    const least = typeof schema["minItems"] === "number" ? schema["minItems"] : 0;
    const types = first.map((each, i) => {
      const type = this.#type(each, indent);
      return i < least ? type : `(${type})?`;
    });
    const rest = Array.isArray(items) ? schema["additionalItems"] : items;
    const ends = rest === false || schema["maxItems"] === first.length;
    return `${readonly}[${[...types, ...(ends ? [] : [`...(${this.#type(rest, indent)})[]`])].join(", ")}]`;
  }

  /** A type of its own, which may hold itself. */
  #reference(reference: string): string {
    const found = this.#marked.get(reference) ?? resolve(reference, this.#root);
    if (!isSchema(found)) return "unknown";
    const known = this.#names.get(found);
    if (known !== undefined) return known;
    const name = this.#freeName(reference.split("/").at(-1) ?? "");
    this.#names.set(found, name);
    const at = this.#texts.push("") - 1;
    this.#texts[at] = `export type ${name} = ${this.#type(found, "")};`;
    return name;
  }

  #freeName(wanted: string): string {
    const base = this.#name + pascal(wanted);
    let name = base;
    for (let n = 2; this.#taken.has(name); n += 1) name = `${base}${n}`;
    this.#taken.add(name);
    return name;
  }
}

/** `resize-image` as ResizeImage. */
export const pascal = (text: string): string =>
  text
    .split(/[^A-Za-z0-9]+/)
    .map((word) => word.slice(0, 1).toUpperCase() + word.slice(1))
    .join("");

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : value === undefined ? [] : [value]);

function unionOf(types: readonly string[]): string {
  if (types.includes("unknown")) return "unknown";
  const members = [...new Set(types)].filter((type) => type !== "never");
  return members.join(" | ") || "never";
}

function guessed(schema: JsonSchema): string | undefined {
  if ("properties" in schema || "additionalProperties" in schema || "patternProperties" in schema) return "object";
  return "items" in schema || "prefixItems" in schema ? "array" : undefined;
}
