import type { JsonSchema } from "../../domain/definition.ts";
import { resolve } from "../../http/openapi/example.ts";
import { isSchema } from "../../http/openapi/schemas.ts";

/** References and alternatives are followed so far: schemas may hold themselves. */
const DEPTH_MAX = 8;
/** As JSON writes them. */
const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;

/** One field of a task's input. */
export interface Field {
  readonly name: string;
  readonly required: boolean;
  readonly description: string | undefined;
  /** What the task takes where it is left out; undefined: not said. */
  readonly fallback: unknown;
  /** What it can be: schemas without references and alternatives, the narrowest first. */
  readonly forms: readonly JsonSchema[];
  /** The fields of an object. */
  readonly fields: readonly Field[];
  /** Where its references lead from. */
  readonly root: JsonSchema;
}

/** A text that is no value of its field; the message goes on from the field's name. */
export class FieldError extends Error {
  override readonly name = "FieldError";
}

/** The fields that an input has, in the schema's order. */
export const fieldsOf = (schema: JsonSchema): readonly Field[] => fieldsIn(formsOf(schema, schema), schema);

/** A field that a schema does not name, where it takes such; undefined: it does not. */
export function otherField(schema: JsonSchema, name: string): Field | undefined {
  const open = formsOf(schema, schema).find((form) => canBe(form, "object") && form["additionalProperties"] !== false);
  if (!open) return undefined;
  const others = open["additionalProperties"];
  return fieldOf(name, [isSchema(others) ? others : {}], false, schema);
}

function fieldsIn(forms: readonly JsonSchema[], root: JsonSchema): readonly Field[] {
  const found = new Map<string, JsonSchema[]>();
  for (const { properties } of forms)
    for (const [name, schema] of Object.entries(isSchema(properties) ? properties : {}))
      found.set(name, [...(found.get(name) ?? []), isSchema(schema) ? schema : {}]);
  const isRequired = (name: string): boolean => forms.every(({ required }) => Array.isArray(required) && required.includes(name));
  return Array.from(found, ([name, schemas]) => fieldOf(name, schemas, isRequired(name), root));
}

function fieldOf(name: string, schemas: readonly JsonSchema[], required: boolean, root: JsonSchema): Field {
  const forms = schemas.flatMap((schema) => narrowest(schema, root));
  const said = (keyword: string): unknown => [...schemas, ...forms].find((schema) => keyword in schema)?.[keyword];
  const description = said("description");
  return {
    name,
    required,
    description: typeof description === "string" ? description : undefined,
    fallback: said("default"),
    forms,
    // Asked for one by one: an object may hold itself.
    get fields() {
      return fieldsIn(
        forms.filter((form) => typeOf(form) === "object"),
        root,
      );
    },
    root,
  };
}

const narrowest = (schema: JsonSchema, root: JsonSchema): readonly JsonSchema[] =>
  [...formsOf(schema, root)].sort((a, b) => rank(a) - rank(b));

/** What a schema allows, one form for each alternative and each type. */
function formsOf(schema: JsonSchema, root: JsonSchema, depth = 0): readonly JsonSchema[] {
  if (depth > DEPTH_MAX) return [{}];
  const { $ref, allOf, ...rest } = schema;
  const inner = (other: unknown): readonly JsonSchema[] => (isSchema(other) ? formsOf(other, root, depth + 1) : [{}]);
  if (typeof $ref === "string") return inner(resolve($ref, root)).map((form) => ({ ...form, ...rest }));
  if (Array.isArray(allOf)) return allOf.map(inner).reduce(combined, formsOf(rest, root, depth + 1));
  const { anyOf, oneOf, ...own } = rest;
  const choices = anyOf ?? oneOf;
  if (Array.isArray(choices)) return combined([own], choices.flatMap(inner));
  const { type } = own;
  return Array.isArray(type) ? type.map((each) => ({ ...own, type: each })) : [own];
}

/** All that is said of one and of the other; the fields of both. */
function combined(some: readonly JsonSchema[], others: readonly JsonSchema[]): readonly JsonSchema[] {
  return some.flatMap((one) =>
    others.map((other) => {
      const properties = { ...(one["properties"] as object), ...(other["properties"] as object) };
      const required = [one["required"], other["required"]].flatMap((names) => (Array.isArray(names) ? names : []));
      const fields = Object.keys(properties).length > 0 ? { properties, required } : {};
      return { ...one, ...other, ...fields };
    }),
  );
}

type Type = "choice" | "null" | "boolean" | "integer" | "number" | "array" | "object" | "any" | "string";
/** What reads fewest texts comes first, so that 5 is a number where a text would do as well. */
const TYPES: readonly Type[] = ["choice", "null", "boolean", "integer", "number", "array", "object", "any", "string"];

function typeOf(form: JsonSchema): Type {
  if ("const" in form || Array.isArray(form["enum"])) return "choice";
  const type = form["type"] as Type | undefined;
  if (type !== undefined && TYPES.includes(type)) return type;
  if ("properties" in form) return "object";
  return "items" in form ? "array" : "any";
}

const rank = (form: JsonSchema): number => TYPES.indexOf(typeOf(form));

const canBe = (form: JsonSchema, type: Type): boolean => typeOf(form) === type || typeOf(form) === "any";

/** Whether it can be yes or no. */
export const isSwitch = ({ forms }: Field): boolean => forms.some((form) => typeOf(form) === "boolean");

/** Whether several values of it make a list. */
export const isList = ({ forms }: Field): boolean => forms.some((form) => canBe(form, "array"));

/** The values that it can have, where they are named; empty: others are possible. */
export function choicesOf({ forms }: Field): readonly unknown[] {
  if (!forms.every((form) => ["choice", "null"].includes(typeOf(form)))) return [];
  return forms.flatMap((form) => (typeOf(form) === "null" ? [null] : valuesIn(form)));
}

const valuesIn = (form: JsonSchema): readonly unknown[] => ("const" in form ? [form["const"]] : (form["enum"] as unknown[]));

/**
 * Reads what was typed for a field: the first form that fits it. Lists come as several texts or as JSON, objects as JSON.
 *
 * @throws FieldError
 */
export function readField(field: Field, texts: readonly string[]): unknown {
  const read = firstOf(field.forms, texts, field.root);
  if (read) return read.value;
  if (texts.length > 1 && !isList(field)) throw new FieldError("can be given once only");
  throw new FieldError(`must be ${expectedOf(field)}, not ${texts.map((text) => `"${text}"`).join(", ")}`);
}

/** What is expected of a field, in words. */
export function expectedOf({ forms }: Field): string {
  return [...new Set(forms.map(words))].join(" or ");
}

function words(form: JsonSchema): string {
  const type = typeOf(form);
  switch (type) {
    case "choice":
      return valuesIn(form).length > 1 ? `one of ${valuesIn(form).map(asText).join(", ")}` : asText(valuesIn(form)[0]);
    case "boolean":
      return "true or false";
    case "integer":
      return "a whole number";
    case "number":
      return "a number";
    case "array":
      return "a list: given several times, or as JSON";
    case "object":
      return "an object as JSON";
    case "any":
      return "JSON or text";
    default:
      return type === "null" ? "null" : "text";
  }
}

const asText = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));

interface Read {
  readonly value: unknown;
}

function firstOf(forms: readonly JsonSchema[], texts: readonly string[], root: JsonSchema): Read | undefined {
  for (const form of forms) {
    const read = readAs(form, texts, root);
    if (read) return read;
  }
  return undefined;
}

function readAs(form: JsonSchema, texts: readonly string[], root: JsonSchema): Read | undefined {
  const type = typeOf(form);
  if (type === "array" || (type === "any" && texts.length > 1)) return readList(form, texts, root);
  const [text = ""] = texts;
  if (texts.length !== 1) return undefined;
  switch (type) {
    case "choice":
      return valuesIn(form).flatMap((value) => (asText(value) === text ? [{ value }] : []))[0];
    case "string":
      return { value: text };
    case "any":
      return readJson(text) ?? { value: text };
    case "integer":
      return readNumber(text, Number.isSafeInteger);
    case "number":
      return readNumber(text, Number.isFinite);
    case "object":
      return readJson(text, isSchema);
    default:
      return readJson(text, (value) => (type === "null" ? value === null : typeof value === type));
  }
}

function readList(form: JsonSchema, texts: readonly string[], root: JsonSchema): Read | undefined {
  const [text = ""] = texts;
  if (texts.length === 1 && text.trimStart().startsWith("[")) return readJson(text, Array.isArray);
  const forms = narrowest(isSchema(form["items"]) ? form["items"] : {}, root);
  const read = texts.map((each) => firstOf(forms, [each], root));
  return read.every((each) => each !== undefined) ? { value: read.map(({ value }) => value) } : undefined;
}

function readNumber(text: string, fits: (value: number) => boolean): Read | undefined {
  const value = Number(text);
  return NUMBER.test(text) && fits(value) ? { value } : undefined;
}

function readJson(text: string, fits: (value: unknown) => boolean = () => true): Read | undefined {
  try {
    const value = JSON.parse(text) as unknown;
    return fits(value) ? { value } : undefined;
  } catch {
    return undefined;
  }
}
