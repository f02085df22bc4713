import { isSchema, type Schema } from "./schemas.ts";

/** References are followed so far: schemas may hold themselves. */
const DEPTH_MAX = 8;

const FORMATS: Readonly<Record<string, string>> = {
  date: "2026-01-31",
  "date-time": "2026-01-31T12:00:00.000Z",
  duration: "PT1H",
  email: "ada@example.com",
  hostname: "example.com",
  ipv4: "192.0.2.1",
  ipv6: "2001:db8::1",
  time: "12:00:00Z",
  uri: "https://example.com/",
  url: "https://example.com/",
  uuid: "0197b7a0-0000-7000-8000-000000000000",
};
/** Tried where a pattern is all that is known. */
const TEXTS = ["text", ...Object.values(FORMATS), "1", "a", "A", "1h"];

/** An input as the schema's examples, defaults and limits suggest it: what is required, and what has a value of its own. */
export function exampleOf(schema: unknown, root: unknown = schema, depth = 0): unknown {
  if (!isSchema(schema) || depth > DEPTH_MAX) return null;
  if (hasOwnValue(schema)) return ownValue(schema);
  const inner = (other: unknown): unknown => exampleOf(other, root, depth + 1);
  if (typeof schema["$ref"] === "string") return inner(resolve(schema["$ref"], root));
  const { allOf, anyOf, oneOf } = schema;
  if (Array.isArray(allOf)) return merged([exampleOfType(schema, inner), ...allOf.map(inner)]);
  const choices = anyOf ?? oneOf;
  if (Array.isArray(choices) && !("properties" in schema)) return inner(choices[0]);
  return exampleOfType(schema, inner);
}

function hasOwnValue(schema: Schema): boolean {
  const { examples, enum: values } = schema;
  return (
    (Array.isArray(examples) && examples.length > 0) ||
    "default" in schema ||
    "const" in schema ||
    (Array.isArray(values) && values.length > 0)
  );
}

function ownValue({ examples, enum: values, ...schema }: Schema): unknown {
  if (Array.isArray(examples) && examples.length > 0) return examples[0];
  if ("default" in schema) return schema["default"];
  return "const" in schema ? schema["const"] : (values as readonly unknown[])[0];
}

function exampleOfType(schema: Schema, inner: (other: unknown) => unknown): unknown {
  const { type } = schema;
  switch (Array.isArray(type) ? type.find((name) => name !== "null") : type) {
    case "string":
      return text(schema);
    case "integer":
    case "number":
      return amount(schema);
    case "boolean":
      return false;
    case "array":
      return list(schema, inner);
    case "null":
      return null;
    default:
      return object(schema, inner);
  }
}

function object({ properties, required }: Schema, inner: (other: unknown) => unknown): unknown {
  const wanted = new Set(Array.isArray(required) ? required : []);
  const shown = Object.entries(isSchema(properties) ? properties : {}).filter(
    ([name, schema]) => wanted.has(name) || (isSchema(schema) && hasOwnValue(schema)),
  );
  return Object.fromEntries(shown.map(([name, schema]) => [name, inner(schema)]));
}

function list({ items, prefixItems, minItems, maxItems }: Schema, inner: (other: unknown) => unknown): unknown[] {
  if (Array.isArray(prefixItems)) return prefixItems.map(inner);
  if (!isSchema(items) || maxItems === 0) return [];
  return Array.from({ length: Math.min(10, Math.max(1, Number(minItems ?? 1))) }, () => inner(items));
}

function amount(schema: Schema): number {
  const step = Number(schema["multipleOf"] ?? 1);
  const above = schema["exclusiveMinimum"];
  const below = schema["exclusiveMaximum"];
  const lowest = typeof above === "number" ? above + step : Number(schema["minimum"] ?? Number.NEGATIVE_INFINITY);
  const highest = typeof below === "number" ? below - step : Number(schema["maximum"] ?? Number.POSITIVE_INFINITY);
  const near = Math.max(lowest, Math.min(step, highest));
  const multiple = [Math.ceil(near / step) * step, Math.floor(near / step) * step];
  return multiple.find((each) => each >= lowest && each <= highest) ?? near;
}

function text({ format, pattern, minLength, maxLength }: Schema): string {
  const least = Number(minLength ?? 0);
  const most = Number(maxLength ?? Number.POSITIVE_INFINITY);
  const known = typeof format === "string" ? FORMATS[format] : undefined;
  const candidates = [...(known === undefined ? [] : [known]), ...TEXTS, "text".padEnd(Math.min(least, 1_000), "x")];
  const matches = typeof pattern === "string" ? matcher(pattern) : () => true;
  const fitting = candidates.find((each) => each.length >= least && each.length <= most && matches(each));
  return fitting ?? known ?? "text".slice(0, most);
}

function matcher(pattern: string): (candidate: string) => boolean {
  try {
    const expression = new RegExp(pattern, "u");
    return (candidate) => expression.test(candidate);
  } catch {
    return () => true;
  }
}

function merged(values: readonly unknown[]): unknown {
  return Object.assign({}, ...values.filter(isSchema));
}

/** What a reference within `root` leads to. */
export function resolve(reference: string, root: unknown): unknown {
  if (!reference.startsWith("#")) return undefined;
  const steps = decodeURIComponent(reference.slice(1)).split("/").slice(1);
  return steps.reduce<unknown>(
    (found, step) => (found as Record<string, unknown> | null | undefined)?.[step.replaceAll("~1", "/").replaceAll("~0", "~")],
    root,
  );
}
