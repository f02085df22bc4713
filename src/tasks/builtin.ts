import type { TaskDefinition, TaskPolicy } from "../domain/definition.ts";
import { policy as parsePolicy } from "./parse/policy.ts";

/** The tasks inside the executable. Their code is imported where one runs; the API needs the policies alone. */
export const builtinPolicies: readonly TaskPolicy[] = [parsePolicy];

/** @throws Error when there is no such built-in task */
export async function loadBuiltin(name: string): Promise<TaskDefinition> {
  if (name === parsePolicy.name) return (await import("./parse/definition.ts")).default as TaskDefinition;
  throw new Error(`there is no built-in task "${name}"`);
}
