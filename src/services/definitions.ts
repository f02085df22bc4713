import type { TaskPolicy } from "../domain/definition.ts";
import { InvalidInput } from "../domain/errors.ts";
import type { Definitions, KnownTask } from "../ports/definitions.ts";
import type { Check } from "./schema-check.ts";

type CheckOf = typeof import("./schema-check.ts").checkOf;

/** The definitions on offer. The validator library is loaded with the first input, so that no start waits for it. */
export class DefinitionRegistry implements Definitions {
  #known = new Map<string, KnownTask>();
  /** The validator library, once it is loaded. */
  #checkOf: CheckOf | undefined;

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
    this.#known.set(policy.name, same ? before : { policy, check: this.#lazyCheck(policy) });
  }

  get(name: string): KnownTask | undefined {
    return this.#known.get(name);
  }

  all(): readonly TaskPolicy[] {
    return [...this.#known.values()].map((known) => known.policy);
  }

  async prepare(): Promise<void> {
    this.#checkOf ??= (await import("./schema-check.ts")).checkOf;
  }

  #lazyCheck(policy: TaskPolicy): KnownTask["check"] {
    let check: Check | undefined;
    return (input) => {
      if (this.#checkOf) check ??= this.#checkOf(policy.input);
      if (check) return check(input);
      return this.prepare().then(() => {
        check ??= this.#checkOf?.(policy.input);
        return check?.(input) ?? [];
      });
    };
  }
}
