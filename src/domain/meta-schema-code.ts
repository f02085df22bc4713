/**
 * Makes code of JSON Schema's own schema (draft 2020-12). meta-schema.ts calls it as a macro: Bun runs it while it bundles or
 * transpiles that file, and the executable carries what it returns.
 */
import { Ajv2020 } from "ajv/dist/2020.js";
import standalone from "ajv/dist/standalone/index.js";

/** A CommonJS module whose export says whether a schema is valid, and keeps the errors; it requires ajv's `runtime/equal`. */
export function metaSchemaCode(): string {
  const ajv = new Ajv2020({ strict: false, logger: false, code: { source: true } });
  const validate = ajv.getSchema("https://json-schema.org/draft/2020-12/schema");
  if (!validate) throw new Error("ajv knows no draft 2020-12");
  return standalone(ajv, validate);
}
