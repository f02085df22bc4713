/** The schemas of a task where its code is: what they make of inputs and results. */
import type { TaskDefinition, TaskPolicy } from "../domain/definition.ts";
import type { InputProblem } from "../domain/errors.ts";
import { pointerOf } from "../domain/json-pointer.ts";
import type { Check } from "../domain/schema-check.ts";
import type { StandardIssue, StandardResult, StandardSchema } from "../domain/standard-schema.ts";
import { NonRetryableError, TaskError } from "../tasks/artel.ts";

/** At most so many problems of one input are told. */
const MAX_PROBLEMS = 20;

/** A definition that is ready to run. */
export interface Runnable extends TaskDefinition {
  /** Makes of the stored input what `run` takes; undefined: it is that. Throws NonRetryableError `invalid_input`. */
  readonly prepare?: ((args: unknown) => unknown) | undefined;
  /** Makes of what `run` returned the result; undefined: it is that. Throws TaskError `invalid_output`. */
  readonly conclude?: ((value: unknown) => unknown) | undefined;
}

export async function runnable(definition: TaskDefinition): Promise<Runnable> {
  const { input, output } = definition.code ?? {};
  const check = input ? undefined : await costlyCheckOf(definition.policy);
  return {
    ...definition,
    prepare: input ? (args) => made(input, args, refuseInput) : check && ((args) => fitting(check, args)),
    conclude: output ? (value) => made(output, value, refuseOutput) : await dataCheckOf(definition),
  };
}

/** The problems of an input, or none; throws what the schema's code throws. */
export function problemsOf(schema: StandardSchema, input: unknown): readonly InputProblem[] | Promise<readonly InputProblem[]> {
  const result = schema["~standard"].validate(input);
  return result instanceof Promise ? result.then(problems) : problems(result);
}

function problems({ issues = [] }: StandardResult<unknown>): readonly InputProblem[] {
  return issues.slice(0, MAX_PROBLEMS).map(problemOf);
}

const problemOf = ({ message, path = [] }: StandardIssue): InputProblem => ({
  path: pointerOf(path.map((step) => (typeof step === "object" ? step.key : step))),
  message: String(message),
});

type Refuse = (problems: readonly InputProblem[]) => never;

/** At once where the schema answers at once. */
function made(schema: StandardSchema, value: unknown, refuse: Refuse): unknown {
  const take = (result: StandardResult<unknown>): unknown => (result.issues ? refuse(problems(result)) : result.value);
  const result = schema["~standard"].validate(value);
  return result instanceof Promise ? result.then(take) : take(result);
}

/** What checks by a schema that is data, filling in its defaults; undefined: it is cheap enough for the main thread. */
export async function costlyCheckOf(policy: Pick<TaskPolicy, "input">): Promise<Check | undefined> {
  const { cheapPart } = await import("../domain/cheap-schema.ts");
  if (cheapPart(policy.input) === policy.input) return undefined;
  const { checkOf } = await import("../domain/schema-check.ts");
  return checkOf({ input: policy.input });
}

/** With results of other tasks put in, it was not checked by the whole of its schema until now. */
function fitting(check: Check, args: unknown): unknown {
  const found = check(args);
  return found.length > 0 ? refuseInput(found) : args;
}

/** A result's schema that is data speaks of the result as JSON. The validator is loaded for it alone. */
async function dataCheckOf({ policy }: TaskDefinition): Promise<Runnable["conclude"]> {
  if (policy.output === undefined) return undefined;
  const { resultCheckOf } = await import("../domain/schema-check.ts");
  const check = resultCheckOf(policy.output);
  return (value) => {
    const json = asJson(value);
    if (json === undefined) return value;
    const found = check(json.value);
    return found.length > 0 ? refuseOutput(found) : json.value;
  };
}

/** Undefined: it is none, which whoever stores it will say. */
function asJson(value: unknown): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(JSON.stringify(value) ?? "null") as unknown };
  } catch {
    return undefined;
  }
}

const listed = (found: readonly InputProblem[]): string =>
  found.map(({ path, message }) => (path === "" ? message : `${path} ${message}`)).join("; ");

/** It was checked when it was submitted, so the schema has changed since, or depends on more than the input. */
function refuseInput(found: readonly InputProblem[]): never {
  throw new NonRetryableError("invalid_input", `the input does not fit "input": ${listed(found)}`);
}

function refuseOutput(found: readonly InputProblem[]): never {
  throw new TaskError("invalid_output", `the result does not fit "output": ${listed(found)}`);
}
