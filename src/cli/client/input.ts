import { UsageError } from "../../config.ts";
import { didYouMean } from "../../domain/closest.ts";
import type { InputProblem } from "../../domain/errors.ts";
import { type Field, FieldError, fieldsOf, isSwitch, otherField, readField } from "./fields.ts";
import type { Definition } from "./shapes.ts";
import { clean } from "./show.ts";

/** `--name text` on the command line; undefined: `--name` alone. */
export interface FieldFlag {
  readonly name: string;
  readonly text: string | undefined;
}

type Input = Record<string, unknown>;

interface Place {
  readonly path: readonly string[];
  readonly field: Field;
}

/**
 * Puts a task's input together: the fields of the command line over the same ones of `base`, checked by the task's schema.
 * Defaults are left to the server.
 *
 * @param base what --input gave; undefined: nothing
 * @param others flags that the command takes itself, for suggestions
 * @throws UsageError naming the flag that is wrong
 */
export async function inputOf(
  { name, input: schema }: Pick<Definition, "name" | "input">,
  flags: readonly FieldFlag[],
  base: unknown,
  others: readonly string[] = [],
): Promise<unknown> {
  if (flags.length > 0 && base !== undefined && !isObject(base))
    throw new UsageError("--input must be an object where fields are given beside it");
  const input = structuredClone(base ?? {});
  for (const [flag, texts] of grouped(flags)) {
    const place = placeOf(schema, flag, texts);
    if (!place) throw new UsageError(unknownField(name, flag, fieldsOf(schema), others));
    put(input as Input, place.path, read(flag, place, texts));
  }
  const { checkOf } = await import("../../domain/schema-check.ts");
  // The check fills in defaults.
  const [problem] = checkOf({ input: schema })(structuredClone(input));
  if (problem) throw new UsageError(`${inputProblem(problem, flags)}${meaningOf(problem, schema)}`);
  return input;
}

/** A pattern alone tells few people what to write: what the field is for stands behind it. */
function meaningOf({ path, message }: InputProblem, schema: Definition["input"]): string {
  const description = fieldsOf(schema).find(({ name }) => path === `/${name}`)?.description;
  return message.startsWith("must match pattern") && description !== undefined ? ` (${clean(description)})` : "";
}

/** What is wrong with an input, by the flag that it came from. */
export function inputProblem({ path, message: raw }: InputProblem, flags: readonly FieldFlag[]): string {
  const message = clean(raw);
  const [top = "", ...deeper] = path.split("/").slice(1).map(unescaped);
  if (top === "") return `--input ${message}`;
  const given = flags.some(({ name }) => matches(top, name.split(".")[0] ?? ""));
  const names = [top, ...deeper.filter((part) => !/^\d+$/.test(part))];
  const flag = `--${names.join(".").replaceAll("_", "-")}`;
  if (message === "required") return `${flag} is required`;
  return given ? `${flag} ${message}` : `--input: ${path} ${message}`;
}

const unescaped = (part: string): string => part.replaceAll("~1", "/").replaceAll("~0", "~");

function grouped(flags: readonly FieldFlag[]): ReadonlyMap<string, readonly (string | undefined)[]> {
  const all = new Map<string, (string | undefined)[]>();
  for (const { name, text } of flags) all.set(name, [...(all.get(name) ?? []), text]);
  return all;
}

/** `max-pages` stands for `max_pages`, `deep.flag` for a field inside. */
function placeOf(schema: Definition["input"], flag: string, texts: readonly (string | undefined)[]): Place | undefined {
  const fields = fieldsOf(schema);
  const found = find(fields, flag);
  if (found) return found;
  const positive = texts.every((text) => text === undefined) && flag.startsWith("no-") ? find(fields, flag.slice(3)) : undefined;
  if (positive && isSwitch(positive.field)) return positive;
  const other = otherField(schema, flag);
  return other && { path: [flag], field: other };
}

function find(fields: readonly Field[], flag: string): Place | undefined {
  const field = fields.find(({ name }) => name === flag) ?? fields.find(({ name }) => matches(name, flag));
  if (field) return { path: [field.name], field };
  const dot = flag.indexOf(".");
  const outer = dot < 0 ? undefined : find(fields, flag.slice(0, dot));
  const inner = outer && find(outer.field.fields, flag.slice(dot + 1));
  return outer && inner && { path: [...outer.path, ...inner.path], field: inner.field };
}

const matches = (field: string, flag: string): boolean => field === flag || field.replaceAll("_", "-") === flag;

function read(flag: string, { field }: Place, texts: readonly (string | undefined)[]): unknown {
  const given = texts.filter((text) => text !== undefined);
  if (given.length === 0 && isSwitch(field)) return !flag.startsWith("no-") || matches(field.name, flag);
  if (given.length < texts.length) throw new UsageError(`--${flag} needs a value`);
  try {
    return readField(field, given);
  } catch (error) {
    if (error instanceof FieldError) throw new UsageError(`--${flag} ${error.message}`);
    throw error;
  }
}

/** Not by assignment, which would take `__proto__` for something else. */
function put(input: Input, [name = "", ...inner]: readonly string[], value: unknown): void {
  const kept = Object.hasOwn(input, name) ? input[name] : undefined;
  const outer = isObject(kept) ? kept : {};
  if (inner.length > 0) put(outer, inner, value);
  Object.defineProperty(input, name, {
    value: inner.length > 0 ? outer : value,
    enumerable: true,
    configurable: true,
    writable: true,
  });
}

const isObject = (value: unknown): value is Input => typeof value === "object" && value !== null && !Array.isArray(value);

function unknownField(task: string, flag: string, fields: readonly Field[], others: readonly string[]): string {
  if (others.includes(flag)) return `${task} takes no --${flag}: what belongs to artel run stands in front of --`;
  const names = fields.map(({ name }) => name.replaceAll("_", "-"));
  const known = names.length === 0 ? "it has none" : `it has ${names.map((name) => `--${name}`).join(", ")}`;
  return `${task} takes no --${flag}${didYouMean(flag, [...names, ...others], "--")}; ${known}`;
}
