import type { ErrorObject } from "ajv";
import type { JsonSchema } from "./definition.ts";
import { metaSchemaCode } from "./meta-schema-code.ts" with { type: "macro" };
import { canonical } from "./unique.ts";

type Validate = ((schema: unknown) => boolean) & { readonly errors?: readonly ErrorObject[] | null };

/** Made with the executable: ajv takes 15 to 45 ms to make it, and would for every schema. */
const CODE: string = metaSchemaCode();

let validate: Validate | undefined;

/** What is wrong with a schema by JSON Schema's own one, draft 2020-12: as ajv says it, the first thing alone. */
export function metaErrors(schema: JsonSchema): readonly ErrorObject[] {
  validate ??= evaluate();
  return validate(schema) ? [] : (validate.errors ?? []);
}

function evaluate(): Validate {
  const module: { exports?: Validate } = {};
  // All that it asks for is what compares two values.
  const equal = (a: unknown, b: unknown): boolean => canonical(a) === canonical(b);
  new Function("module", "require", CODE)(module, () => ({ default: equal }));
  return module.exports as Validate;
}
