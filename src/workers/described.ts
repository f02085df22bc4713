/** What the main thread gets of a definition whose schemas are code. */
import type { TaskDefinition, TaskPolicy } from "../domain/definition.ts";
import { checkUnique } from "../tasks/schema.ts";
import { type Converted, jsonSchemaOf, type Side } from "./json-schema.ts";
import type { Gap } from "./messages.ts";
import { placeOf } from "./reason.ts";
import { costlyCheckOf, problemsOf } from "./schemas.ts";

export interface Described {
  readonly policy: TaskPolicy;
  readonly gaps: readonly Gap[];
}

/**
 * The policy with JSON Schemas made of the code.
 *
 * @param file absolute path of the task file
 * @throws InvalidInput `invalid_definition`, `invalid_schedule` where `unique` or the schedule's input does not fit
 */
export async function describe({ policy, code }: TaskDefinition, file: string): Promise<Described> {
  const convert = async (side: Side): Promise<Converted | undefined> =>
    code?.[side] && (await jsonSchemaOf(code[side], side, file));
  const [input, output] = [await convert("input"), await convert("output")];
  const described = { ...policy, ...(input && { input: input.schema }), ...(output && { output: output.schema }) };
  if (policy.unique !== undefined && input && "properties" in input.schema) checkUnique(policy.unique, input.schema);
  await checkScheduled({ policy, code });
  const place = placeOf(file, code?.at);
  const gaps = [input, output].flatMap((made) =>
    made?.gap === undefined ? [] : [{ text: `${place}: ${made.gap}`, nothing: made.nothing === true }],
  );
  return { policy: described, gaps };
}

/** What is not cheap of a schema that is data is run here: the main thread does without. */
async function checkScheduled({ policy, code }: Pick<TaskDefinition, "policy" | "code">): Promise<void> {
  const { schedule } = policy;
  if (schedule === undefined) return;
  const found = code?.input
    ? await problemsOf(code.input, schedule.input)
    : (await costlyCheckOf(policy))?.(structuredClone(schedule.input));
  const [problem] = found ?? [];
  if (!problem) return;
  const { misfit } = await import("../domain/schema-check.ts");
  throw misfit(problem);
}
