import type { TaskPolicy } from "../domain/definition.ts";
import { InvalidInput } from "../domain/errors.ts";
import type { Check } from "../domain/schema-check.ts";
import type { Definitions, KnownTask, SchemaRunner } from "../ports/definitions.ts";

/** The definitions on offer. The validator library is loaded with the first input, so that no start waits for it. */
export class DefinitionRegistry implements Definitions {
  #known = new Map<string, KnownTask>();

  readonly #runner: SchemaRunner | undefined;

  /** @param runner of schemas that are code; undefined: their JSON Schemas count alone */
  constructor(policies: readonly TaskPolicy[] = [], runner?: SchemaRunner) {
    this.#runner = runner;
    this.replace(policies);
  }

  /** What is on offer from now on. @throws InvalidInput `duplicate_task`; then nothing has changed */
  replace(policies: readonly TaskPolicy[]): void {
    const before = this.#known;
    this.#known = new Map();
    try {
      for (const policy of policies) this.add(policy, before.get(policy.name));
    } catch (error) {
      this.#known = before;
      throw error;
    }
  }

  /** @throws InvalidInput `duplicate_task` when the name is taken */
  add(policy: TaskPolicy, before?: KnownTask): void {
    if (this.#known.has(policy.name)) throw new InvalidInput("duplicate_task", `there is a task "${policy.name}" already`);
    const same = before !== undefined && Bun.deepEquals(before.policy, policy);
    this.#known.set(policy.name, same ? before : { policy, check: this.#checkOf(policy) });
  }

  get(name: string): KnownTask | undefined {
    return this.#known.get(name);
  }

  all(): readonly TaskPolicy[] {
    return [...this.#known.values()].map((known) => known.policy);
  }

  /** By the JSON Schema first, which costs no thread; then, where the schema is code, by that. */
  #checkOf(policy: TaskPolicy): KnownTask["check"] {
    const check = lazyCheck(policy);
    const runner = this.#runner;
    if (policy.checkedBy !== "code" || !runner) return check;
    return async (input) => {
      const problems = await check(input);
      return problems.length > 0 ? problems : await runner.check(policy.name, input);
    };
  }
}

function lazyCheck(policy: TaskPolicy): KnownTask["check"] {
  let check: Check | undefined;
  return (input) => {
    if (check) return check(input);
    return import("../domain/schema-check.ts").then(({ checkOf }) => {
      check ??= checkOf(policy);
      return check(input);
    });
  };
}
