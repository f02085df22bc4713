import { cheapPart } from "../domain/cheap-schema.ts";
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

  /** @param runner of schemas that are code or cost much; undefined: JSON Schemas count alone, and as a whole */
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

  /** By what is cheap of the JSON Schema first, which costs no thread; then, where that is not all, by the rest. */
  #knownTask(policy: TaskPolicy): KnownTask {
    const runner = this.#runner;
    const input = runner ? cheapPart(policy.input) : policy.input;
    const checkShape = this.#lazyCheck({ ...policy, input });
    if (!runner || (policy.checkedBy !== "code" && input === policy.input)) return { policy, checkShape, check: checkShape };
    const check = async (value: unknown) => {
      const problems = await checkShape(value);
      return problems.length > 0 ? problems : await runner.check(policy, value);
    };
    return { policy, checkShape, check };
  }

  #lazyCheck(policy: Parameters<CheckOf>[0]): KnownTask["check"] {
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
