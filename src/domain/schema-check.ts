import type { ErrorObject, ValidateFunction } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { cheapPart } from "./cheap-schema.ts";
import type { JsonSchema, TaskPolicy } from "./definition.ts";
import { type InputProblem, InvalidInput } from "./errors.ts";
import { pointerOf } from "./json-pointer.ts";
import { metaErrors } from "./meta-schema.ts";
import { checkSchedule } from "./schedule.ts";
import { uniqueItems } from "./unique-items.ts";

/** At most so many problems of one input are told. */
const MAX_PROBLEMS = 20;
/** Inputs longer than this are told of the first problem only, so that a bad one cannot cost much. In characters. */
const EXPLAINED_LENGTH = 65_536;

export type Check = (input: unknown) => readonly InputProblem[];

/** How a schema is taken. */
interface Reading {
  /** Fills in defaults, in place. */
  readonly defaults: boolean;
  readonly formats: boolean;
}

/** Of an input whose schema is data: it is all that there is. */
const WHOLE: Reading = { defaults: true, formats: true };
/** Beside code, which has defaults of its own (made anew for each input), and formats that allow more. */
const BESIDE_CODE: Reading = { defaults: false, formats: false };
const RESULT: Reading = { defaults: false, formats: true };

/** @throws InvalidInput `invalid_schema` when it is no JSON Schema */
export function checkSchema(schema: JsonSchema, field: "input" | "output" = "input"): void {
  try {
    const errors = metaErrors(schema);
    if (errors.length > 0) throw new Error(`schema is invalid: ${new Ajv2020().errorsText([...errors])}`);
    compile(schema, false, WHOLE);
  } catch (error) {
    throw new InvalidInput(
      "invalid_schema",
      `"${field}" is no valid JSON Schema: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

type Described = Pick<TaskPolicy, "input" | "output" | "checkedBy" | "schedule">;

/**
 * Throws as `checkSchema`, and `invalid_schedule` where a schedule's input does not fit it, as far as that is cheap to say; what
 * it leaves out is filled in.
 */
export function checkPolicy({ input, output, checkedBy, schedule }: Described): void {
  checkSchema(input);
  if (output) checkSchema(output, "output");
  if (!schedule) return;
  checkSchedule(schedule);
  const [problem] = checkOf({ input: cheapPart(input), checkedBy })(schedule.input);
  if (problem) throw misfit(problem);
}

/** A schedule's input is wrong. */
export const misfit = ({ path, message }: InputProblem): InvalidInput =>
  new InvalidInput("invalid_schedule", `"schedule" input does not fit "input": ${path} ${message}`);

/**
 * What checks inputs against a task's JSON Schema, filling in its defaults unless code does that. A wrong input is checked again,
 * for all that is wrong with it.
 */
export const checkOf = ({ input, checkedBy }: Pick<TaskPolicy, "input" | "checkedBy">): Check =>
  checkBy(input, checkedBy === "code" ? BESIDE_CODE : WHOLE);

/** What checks results, as they are. */
export const resultCheckOf = (schema: JsonSchema): Check => checkBy(schema, RESULT);

function checkBy(schema: JsonSchema, reading: Reading): Check {
  const quick = compile(schema, false, reading);
  let thorough: ValidateFunction | undefined;
  return (input) => {
    if (quick(input)) return [];
    if (JSON.stringify(input).length > EXPLAINED_LENGTH) return problems(quick.errors);
    thorough ??= compile(schema, true, reading);
    return problems(allOf(thorough, input) ?? quick.errors);
  };
}

/** All errors; undefined: the validator, which knows the input for wrong, finds none or breaks off in this mode, as it can. */
function allOf(thorough: ValidateFunction, input: unknown): readonly ErrorObject[] | undefined {
  try {
    return thorough(input) ? undefined : (thorough.errors ?? undefined);
  } catch (error) {
    // Its code for what is left unevaluated can hold names that it has not declared.
    if (error instanceof TypeError || error instanceof ReferenceError) return undefined;
    throw error;
  }
}

function compile(schema: JsonSchema, allErrors: boolean, { defaults, formats }: Reading): ValidateFunction {
  // Types are strict: "1" is no number. Keywords that only describe (TypeBox, zod) are let through, unknown formats without a word.
  const ajv = new Ajv2020({
    allErrors,
    useDefaults: defaults,
    coerceTypes: false,
    strict: false,
    validateFormats: formats,
    logger: false,
    // Once is enough: see checkSchema.
    validateSchema: false,
  });
  addFormats.default(ajv);
  // Its own compares each item with each other.
  ajv.removeKeyword("uniqueItems").addKeyword(uniqueItems);
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
    return { path: `${instancePath}${pointerOf([field])}`, message: "unknown field" };
  }
  if (keyword === "required")
    return { path: `${instancePath}${pointerOf([String(params["missingProperty"])])}`, message: "required" };
  if (keyword === "enum")
    return { path: instancePath, message: `must be one of ${(params["allowedValues"] as unknown[]).join(", ")}` };
  return { path: instancePath, message: error.message ?? keyword };
}
