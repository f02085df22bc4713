/**
 * JSON Schemas of schemas that are code, for the main thread and the docs page. What a library cannot say in JSON Schema lets
 * everything through there: the code has the last word, and an input that it takes must never be refused before it.
 */
import { dirname } from "node:path";
import type { JsonSchema } from "../domain/definition.ts";
import { pointerOf } from "../domain/json-pointer.ts";
import type { StandardSchema } from "../domain/standard-schema.ts";

/** `input`: of what is taken; `output`: of what is made of it. */
export type Side = "input" | "output";

export interface Converted {
  readonly schema: JsonSchema;
  /** What the schema does not say, in one line; undefined: it says all. */
  readonly gap?: string | undefined;
  /** The same where it says nothing at all. */
  readonly nothing?: boolean;
}

const TARGET = "draft-2020-12";

/** A library's own converter. `loose` is told of each place where the code says more. */
type Converter = (schema: StandardSchema, side: Side, file: string, loose: Loose) => Promise<unknown>;
type Loose = (path: readonly PropertyKey[]) => void;

const CONVERTERS: Readonly<Record<string, Converter>> = { zod, valibot, arktype };

/**
 * @param file absolute path of the task file, from whose folder a library's converter is looked for
 */
export async function jsonSchemaOf(schema: StandardSchema, side: Side, file: string): Promise<Converted> {
  const { vendor } = schema["~standard"];
  const places = new Set<string>();
  const convert = async (): Promise<JsonSchema> => {
    const made = await (CONVERTERS[vendor] ?? standard)(schema, side, file, (path) => places.add(shown(path)));
    return JSON.parse(JSON.stringify(made)) as JsonSchema;
  };
  try {
    const made = steady(await convert(), await later(convert));
    // The validator is loaded for schemas that are code alone.
    const { checkSchema } = await import("../domain/schema-check.ts");
    checkSchema(made, side);
    const gap = places.size === 0 ? undefined : `"${side}": its code says more than JSON Schema can: ${[...places].join(", ")}`;
    return { schema: made, gap };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const [reason = ""] = why.split("\n");
    return { schema: {}, gap: `"${side}": no JSON Schema can be made of it, so its code alone checks: ${reason}`, nothing: true };
  }
}

const shown = (path: readonly PropertyKey[]): string =>
  pointerOf(path.filter((step) => step !== "properties" && step !== "items")) || "the whole";

/** Long enough for a default that is made of the time to become another one. */
const later = async <T>(make: () => Promise<T>): Promise<T> => {
  await Bun.sleep(2);
  return await make();
};

/** Without the defaults that are made anew each time, such as ids and times. */
function steady(first: unknown, second: unknown): JsonSchema {
  return without(first, second) as JsonSchema;
}

function without(first: unknown, second: unknown): unknown {
  if (typeof first !== "object" || first === null || typeof second !== "object" || second === null) return first;
  if (Array.isArray(first)) return first.map((each, i) => without(each, (second as readonly unknown[])[i]));
  const other = second as JsonSchema;
  return Object.fromEntries(
    Object.entries(first).flatMap(([key, value]) =>
      key === "default" && !Bun.deepEquals(value, other[key]) ? [] : [[key, without(value, other[key])]],
    ),
  );
}

interface JsonSchemaMaker {
  readonly jsonSchema?: Readonly<Record<Side, (options: object) => unknown>>;
}

/** By the library's own word: Standard JSON Schema 1. */
async function standard(schema: StandardSchema, side: Side): Promise<unknown> {
  return bySelf(schema, side) ?? cannot(`${schema["~standard"].vendor} has no converter`);
}

function bySelf(schema: StandardSchema, side: Side, libraryOptions: object = {}): unknown {
  const { jsonSchema } = schema["~standard"] as JsonSchemaMaker;
  return jsonSchema?.[side]({ target: TARGET, libraryOptions });
}

function cannot(why: string): never {
  throw new Error(why);
}

interface ZodNode {
  readonly zodSchema: { readonly _zod: { readonly def: ZodDef } };
  readonly jsonSchema: Record<string, unknown>;
  readonly path: readonly PropertyKey[];
}
interface ZodDef {
  readonly type: string;
  readonly coerce?: boolean;
  readonly in?: ZodNode["zodSchema"];
  readonly checks?: readonly { readonly _zod: { readonly def: { readonly check: string } } }[];
}

/** Kinds that no JSON can hold, or that a function makes. */
const ZOD_UNSAID = new Set([
  "bigint",
  "symbol",
  "undefined",
  "void",
  "date",
  "map",
  "set",
  "nan",
  "custom",
  "function",
  "transform",
]);

async function zod(schema: StandardSchema, side: Side, file: string, loose: Loose): Promise<unknown> {
  const opened = new Set<string>();
  const override = ({ zodSchema, jsonSchema, path }: ZodNode): void => {
    const { def } = zodSchema._zod;
    const here = pointerOf(path);
    // What is coerced, caught or preprocessed takes more than the type that it ends in.
    const opens = side === "input" && (def.coerce || def.type === "catch" || def.in?._zod.def.type === "transform");
    if (opens) {
      opened.add(here);
      for (const keyword of Object.keys(jsonSchema)) if (keyword !== "description") delete jsonSchema[keyword];
    }
    const { required } = jsonSchema;
    if (Array.isArray(required))
      jsonSchema["required"] = required.filter((name: string) => !opened.has(`${here}${pointerOf(["properties", name])}`));
    const refined = def.checks?.some(({ _zod }) => _zod.def.check === "custom");
    if (opens || refined || ZOD_UNSAID.has(def.type)) loose(path);
  };
  const options = { unrepresentable: "any", override };
  const made = bySelf(schema, side, options);
  if (made !== undefined) return made;
  if (!("_zod" in schema)) return cannot("zod has a converter from version 4 on");
  const library = (await beside(file, "zod")) as { toJSONSchema: (schema: unknown, options: object) => unknown };
  return library.toJSONSchema(schema, { io: side, target: TARGET, ...options });
}

interface ValibotSchema {
  readonly type: string;
  readonly fallback?: unknown;
}

async function valibot(schema: StandardSchema, side: Side, file: string, loose: Loose): Promise<unknown> {
  const made = bySelf(schema, side);
  if (made !== undefined) return made;
  const library = (await beside(file, "@valibot/to-json-schema")) as {
    toJsonSchema: (schema: unknown, options: object) => unknown;
  };
  // It does not say where it is: the kind has to do.
  const say = (kind: string, errors: unknown): void => void (errors !== undefined && loose([kind]));
  return library.toJsonSchema(schema, {
    typeMode: side,
    target: TARGET,
    errorMode: "ignore",
    overrideSchema({ valibotSchema, errors }: { valibotSchema: ValibotSchema; errors: unknown }) {
      say(valibotSchema.type, errors);
      if (side !== "input" || !("fallback" in valibotSchema)) return undefined;
      loose(["fallback"]);
      return {};
    },
    overrideAction({ valibotAction, errors }: { valibotAction: ValibotSchema; errors: unknown }) {
      say(valibotAction.type, errors);
      return undefined;
    },
  });
}

async function arktype(schema: StandardSchema, side: Side, _file: string, loose: Loose): Promise<unknown> {
  const fallback = ({ code, base }: { code: string; base: unknown }): unknown => {
    loose([code]);
    return base;
  };
  const made = bySelf(schema, side, { fallback });
  if (made !== undefined) return made;
  const half = (schema as unknown as Record<"in" | "out", { toJsonSchema(options: object): unknown }>)[
    side === "input" ? "in" : "out"
  ];
  return half.toJsonSchema({ fallback });
}

/** The package as the task file itself would find it. */
async function beside(file: string, name: string): Promise<unknown> {
  let path: string;
  try {
    path = Bun.resolveSync(name, dirname(file));
  } catch {
    return cannot(`${name} is not installed beside it`);
  }
  return await import(path);
}
