import type { TaskPolicy } from "../domain/definition.ts";
import { InvalidInput } from "../domain/errors.ts";
import type { Check } from "../domain/schema-check.ts";
import type { Definitions, KnownTask, SchemaRunner } from "../ports/definitions.ts";

type CheckOf = typeof import("../domain/schema-check.ts").checkOf;

/** The definitions on offer. The validator library is loaded with the first input, so that no start waits for it. */
export class DefinitionRegistry implements Definitions {
  #known = new Map<string, KnownTask>();
  /** The validator library, once it is loaded. */
  #checkOf: CheckOf | undefined;
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
    this.#known.set(policy.name, same ? before : this.#knownTask(policy));
  }

  get(name: string): KnownTask | undefined {
    return this.#known.get(name);
  }

  all(): readonly TaskPolicy[] {
    return [...this.#known.values()].map((known) => known.policy);
  }

  async prepare(): Promise<void> {
    this.#checkOf ??= (await import("../domain/schema-check.ts")).checkOf;
  }

  /** By the JSON Schema first, which costs no thread; then, where the schema is code, by that. */
  #knownTask(policy: TaskPolicy): KnownTask {
    const checkShape = this.#lazyCheck(policy);
    const runner = this.#runner;
    if (policy.checkedBy !== "code" || !runner) return { policy, checkShape, check: checkShape };
    const check = async (input: unknown) => {
      const problems = await checkShape(input);
      return problems.length > 0 ? problems : await runner.check(policy.name, input);
    };
    return { policy, checkShape, check };
  }

  #lazyCheck(policy: TaskPolicy): KnownTask["check"] {
    let check: Check | undefined;
    return (input) => {
      if (this.#checkOf) check ??= this.#checkOf(policy);
      if (check) return check(input);
      return this.prepare().then(() => {
        check ??= this.#checkOf?.(policy);
        return check?.(input) ?? [];
      });
    };
  }
}
