/** What checking an input by a JSON Schema can cost, and what of a schema costs little whatever the input is. */
import type { JsonSchema } from "./definition.ts";
import { isSchema, mapInner } from "./inner-schemas.ts";
import { follow, tokensOf } from "./json-pointer.ts";
import { isPlainPattern } from "./plain-pattern.ts";

/** So many schemas are looked at, each as often as references lead to it: one that holds itself has no end. */
const SCHEMAS_MAX = 2_000;
/**
 * So many schemas may look at one place of an input, where it can have many of them. Ten look at a megabyte of small
 * values in 0.2 s.
 */
const WEIGHT_MAX = 10;
/** What walks through a whole string or list weighs so much more. */
const SCAN_WEIGHT = 2;
/** So many values of an `enum`, or names of fields, weigh as much as a schema. */
const NAMES_PER_WEIGHT = 50;

/** Formats whose check can take more than linear time, or makes a program of the input. */
const COSTLY_FORMATS: readonly unknown[] = ["url", "regex"];
/** Formats whose check takes 0.2 s and more for a string that is so long that JavaScript's fast way of matching is left. */
const LONG_FORMATS: readonly unknown[] = ["uri", "uri-reference", "uri-template"];
/** By far shorter than that, in characters. */
const LONG = 10_000;
/** Keywords that are not followed here. */
const UNKNOWN = ["$dynamicRef", "$recursiveRef", "dependencies"];
/** All that look at the same value as the schema that they stand in. */
const IN_PLACE = ["allOf", "anyOf", "oneOf", "if", "then", "else", "not"];
const IN_PLACE_NAMED = ["dependentSchemas"];
/** Each looks at a part of the value at which none of the others does. */
const APART = ["additionalProperties", "items", "prefixItems", "propertyNames"];
const APART_NAMED = ["properties"];
/** Each looks at parts at which others do too. */
const BESIDE = ["contains", "unevaluatedItems", "unevaluatedProperties"];
const BESIDE_NAMED = ["patternProperties"];
/** With these an input can have any number of places. */
const REPEATING = ["additionalProperties", "items", "propertyNames", ...BESIDE, ...BESIDE_NAMED];

/** What takes an input for right where a schema in it does not, or takes notice of which one it was. */
const TURNING = ["not", "oneOf", "if", "maxContains", "unevaluatedItems", "unevaluatedProperties", "dependencies"];
/** Which of these fits first may decide which defaults are filled in. */
const CHOOSING = ["anyOf", "contains"];

/**
 * As much of a schema as costs little whatever the input is. It takes every input that the whole takes, and fills in the same
 * defaults in those.
 *
 * @returns the schema itself where nothing had to be left out; `{}` where nothing is left that could be told to do the above
 */
export function cheapPart(schema: JsonSchema): JsonSchema {
  if (isCheap(schema)) return schema;
  const isTurned = mentions(schema, mentions(schema, ["default"]) ? [...TURNING, ...CHOOSING] : TURNING);
  const light = isTurned ? {} : lightened(schema);
  return isCheap(light) ? light : {};
}

/** Without the patterns and formats that cost much, wherever they stand. */
function lightened(schema: JsonSchema): JsonSchema {
  const { pattern, format, ...rest } = schema;
  const kept = {
    ...rest,
    ...(pattern !== undefined && isCheapPattern(pattern) && { pattern }),
    ...(format !== undefined && !hasCostlyFormat(schema) && { format }),
  };
  return mapInner(kept, lightened);
}

/** Whether a check of an input takes time that is linear in its length, and not many times that. */
function isCheap(schema: JsonSchema): boolean {
  const judge = new Judge(schema);
  const weight = judge.weight(schema);
  return Number.isFinite(weight) && (weight <= WEIGHT_MAX || !judge.repeats);
}

const isCheapPattern = (pattern: unknown): boolean => typeof pattern === "string" && isPlainPattern(pattern);

/** Whether one of the names stands anywhere, as a keyword or as anything else. */
function mentions(value: unknown, names: readonly string[]): boolean {
  if (Array.isArray(value)) return value.some((each) => mentions(each, names));
  return isSchema(value) && Object.entries(value).some(([key, inner]) => names.includes(key) || mentions(inner, names));
}

class Judge {
  readonly #root: JsonSchema;
  /** What `#` means may be another schema then. */
  readonly #hasBases: boolean;
  #seen = 0;
  /** An input can have any number of places, or long strings that are walked through. */
  repeats = false;

  constructor(root: JsonSchema) {
    this.#root = root;
    const { $id: _, ...rest } = root;
    this.#hasBases = mentions(rest, ["$id"]);
  }

  /** How many schemas look at the place of an input at which most of them do, at most; Infinity: that cannot be said. */
  weight(schema: unknown): number {
    if (!isSchema(schema)) return 0;
    this.#seen += 1;
    if (this.#seen > SCHEMAS_MAX || UNKNOWN.some((keyword) => keyword in schema) || !hasCheapWords(schema)) return Infinity;
    const own = 1 + this.#scans(schema) + namesIn(schema) / NAMES_PER_WEIGHT;
    this.repeats ||= REPEATING.some((keyword) => isSchema(schema[keyword]));
    const parts = Math.max(0, ...this.#weights(schema, APART, APART_NAMED)) + sum(this.#weights(schema, BESIDE, BESIDE_NAMED));
    return Math.max(own, parts) + sum(this.#weights(schema, IN_PLACE, IN_PLACE_NAMED)) + this.#referred(schema["$ref"]);
  }

  #weights(schema: JsonSchema, keywords: readonly string[], named: readonly string[]): number[] {
    const inner = [
      ...keywords.flatMap((keyword) => schema[keyword]),
      ...named.flatMap((keyword) => Object.values((schema[keyword] as object | undefined) ?? {})),
    ];
    const weights: number[] = [];
    // One that has no end must not be walked through by each of its branches.
    for (const each of inner) if (weights.at(-1) !== Infinity) weights.push(this.weight(each));
    return weights;
  }

  #scans(schema: JsonSchema): number {
    const scanning = ["pattern", "format", "uniqueItems"].filter((keyword) => keyword in schema).length;
    this.repeats ||= scanning > 0;
    return scanning * SCAN_WEIGHT;
  }

  #referred(reference: unknown): number {
    if (reference === undefined) return 0;
    const tokens = typeof reference === "string" && !this.#hasBases && reference.startsWith("#") && tokensIn(reference);
    const found = tokens ? follow(this.#root, tokens) : undefined;
    return typeof found === "boolean" || isSchema(found) ? this.weight(found) : Infinity;
  }
}

const sum = (weights: readonly number[]): number => weights.reduce((total, weight) => total + weight, 0);

function hasCheapWords(schema: JsonSchema): boolean {
  const { pattern, patternProperties } = schema;
  const patterns = [...(pattern === undefined ? [] : [pattern]), ...Object.keys(patternProperties ?? {})];
  return patterns.every(isCheapPattern) && !hasCostlyFormat(schema);
}

function hasCostlyFormat({ format, maxLength }: JsonSchema): boolean {
  const isShort = typeof maxLength === "number" && maxLength <= LONG;
  return COSTLY_FORMATS.includes(format) || (LONG_FORMATS.includes(format) && !isShort);
}

function namesIn({ enum: values, properties }: JsonSchema): number {
  return (Array.isArray(values) ? values.length : 0) + Object.keys(properties ?? {}).length;
}

/** The steps of a reference to a place in the same schema; undefined: it is to something else. */
function tokensIn(reference: string): readonly string[] | undefined {
  try {
    return tokensOf(decodeURIComponent(reference.slice(1)));
  } catch {
    return undefined;
  }
}
