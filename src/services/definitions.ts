import type { TaskPolicy } from "../domain/definition.ts";
import { InvalidInput } from "../domain/errors.ts";
import type { Definitions, KnownTask } from "../ports/definitions.ts";
import type { Check } from "./schema-check.ts";

/** The definitions on offer. The validator library is loaded with the first input, so that no start waits for it. */
export class DefinitionRegistry implements Definitions {
  #known = new Map<string, KnownTask>();

  constructor(policies: readonly TaskPolicy[] = []) {
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
    this.#known.set(policy.name, same ? before : { policy, check: lazyCheck(policy) });
  }

  get(name: string): KnownTask | undefined {
    return this.#known.get(name);
  }

  all(): readonly TaskPolicy[] {
    return [...this.#known.values()].map((known) => known.policy);
  }
}

function lazyCheck(policy: TaskPolicy): KnownTask["check"] {
  let check: Check | undefined;
  return (input) => {
    if (check) return check(input);
    return import("./schema-check.ts").then(({ checkOf }) => {
      check ??= checkOf(policy.input);
      return check(input);
    });
  };
}
