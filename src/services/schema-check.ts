import type { ErrorObject, ValidateFunction } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import type { JsonSchema, TaskPolicy } from "../domain/definition.ts";
import { type InputProblem, InvalidInput } from "../domain/errors.ts";
import { checkSchedule } from "../domain/schedule.ts";

/** At most so many problems of one input are told. */
const MAX_PROBLEMS = 20;
/** Inputs longer than this are told of the first problem only, so that a bad one cannot cost much. In characters. */
const EXPLAINED_LENGTH = 65_536;

export type Check = (input: unknown) => readonly InputProblem[];

/** @throws InvalidInput `invalid_schema` when it is no JSON Schema */
export function checkSchema(schema: JsonSchema): void {
  try {
    compile(schema, false);
  } catch (error) {
    throw new InvalidInput(
      "invalid_schema",
      `"input" is no valid JSON Schema: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

/** Throws as `checkSchema`, and `invalid_schedule` where a schedule's input does not fit it; what it leaves out is filled in. */
export function checkPolicy({ input, schedule }: Pick<TaskPolicy, "input" | "schedule">): void {
  checkSchema(input);
  if (!schedule) return;
  checkSchedule(schedule);
  const [problem] = checkOf(input)(schedule.input);
  if (problem)
    throw new InvalidInput("invalid_schedule", `"schedule" input does not fit "input": ${problem.path} ${problem.message}`);
}

/** What checks inputs against a schema, filling in its defaults. A wrong input is checked again, for all that is wrong with it. */
export function checkOf(schema: JsonSchema): Check {
  const quick = compile(schema, false);
  let thorough: ValidateFunction | undefined;
  return (input) => {
    if (quick(input)) return [];
    if (JSON.stringify(input).length > EXPLAINED_LENGTH) return problems(quick.errors);
    thorough ??= compile(schema, true);
    thorough(input);
    return problems(thorough.errors);
  };
}

function compile(schema: JsonSchema, allErrors: boolean): ValidateFunction {
  // Types are strict: "1" is no number. Keywords that only describe (TypeBox, zod) are let through.
  const ajv = new Ajv2020({ allErrors, useDefaults: true, coerceTypes: false, strict: false, validateFormats: true });
  addFormats.default(ajv);
  const { $schema: _, ...plain } = schema;
  return ajv.compile(plain);
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
  if (keyword === "required")
    return { path: `${instancePath}/${escapePointer(String(params["missingProperty"]))}`, message: "required" };
  if (keyword === "enum")
    return { path: instancePath, message: `must be one of ${(params["allowedValues"] as unknown[]).join(", ")}` };
  return { path: instancePath, message: error.message ?? keyword };
}

/** RFC 6901. */
const escapePointer = (part: string): string => part.replaceAll("~", "~0").replaceAll("/", "~1");
