import type { ErrorObject, ValidateFunction } from "ajv";
import addFormats from "ajv-formats";
import { Ajv2020 } from "ajv/dist/2020.js";
import type { TaskPolicy } from "../domain/definition.ts";
import { InvalidInput, type InputProblem } from "../domain/errors.ts";
import type { Definitions, KnownTask } from "../ports/definitions.ts";

/** At most so many problems of one input are told. */
const MAX_PROBLEMS = 20;
/** Inputs longer than this are told of the first problem only, so that a bad one cannot cost much. In characters. */
const EXPLAINED_LENGTH = 65_536;

/** The definitions on offer, each with a validator compiled when it is first needed. */
export class DefinitionRegistry implements Definitions {
  readonly #known = new Map<string, KnownTask>();

  constructor(policies: readonly TaskPolicy[] = []) {
    for (const policy of policies) this.add(policy);
  }

  /** @throws InvalidInput `duplicate_task` when the name is taken */
  add(policy: TaskPolicy): void {
    if (this.#known.has(policy.name)) throw new InvalidInput("duplicate_task", `there is a task "${policy.name}" already`);
    this.#known.set(policy.name, { policy, check: validator(policy) });
  }

  get(name: string): KnownTask | undefined {
    return this.#known.get(name);
  }

  all(): readonly TaskPolicy[] {
    return [...this.#known.values()].map((known) => known.policy);
  }
}

/** @throws InvalidInput `invalid_schema` when the policy's input is no JSON Schema */
export function checkSchema(policy: TaskPolicy): void {
  try {
    compile(policy, false);
  } catch (error) {
    throw new InvalidInput("invalid_schema", `"input" is no valid JSON Schema: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function validator(policy: TaskPolicy): (input: unknown) => readonly InputProblem[] {
  let quick: ValidateFunction | undefined;
  let thorough: ValidateFunction | undefined;
  return (input) => {
    quick ??= compile(policy, false);
    if (quick(input)) return [];
    if (JSON.stringify(input).length > EXPLAINED_LENGTH) return problems(quick.errors);
    thorough ??= compile(policy, true);
    thorough(input);
    return problems(thorough.errors);
  };
}

function compile(policy: TaskPolicy, allErrors: boolean): ValidateFunction {
  // Types are strict: "1" is no number. Keywords that only describe (TypeBox, zod) are let through.
  const ajv = new Ajv2020({ allErrors, useDefaults: true, coerceTypes: false, strict: false, validateFormats: true });
  addFormats.default(ajv);
  const { $schema: _, ...schema } = policy.input;
  return ajv.compile(schema);
}

function problems(errors: readonly ErrorObject[] | null | undefined): readonly InputProblem[] {
  return (errors ?? []).slice(0, MAX_PROBLEMS).map(describe);
}

function describe(error: ErrorObject): InputProblem {
  const { keyword, instancePath, params } = error;
  if (keyword === "additionalProperties" || keyword === "unevaluatedProperties") {
    const field = String(params["additionalProperty"] ?? params["unevaluatedProperty"]);
    return { path: `${instancePath}/${escapePointer(field)}`, message: "unknown field" };
  }
  if (keyword === "required") return { path: `${instancePath}/${escapePointer(String(params["missingProperty"]))}`, message: "required" };
  if (keyword === "enum") return { path: instancePath, message: `must be one of ${(params["allowedValues"] as unknown[]).join(", ")}` };
  return { path: instancePath, message: error.message ?? keyword };
}

/** RFC 6901. */
const escapePointer = (part: string): string => part.replaceAll("~", "~0").replaceAll("/", "~1");
