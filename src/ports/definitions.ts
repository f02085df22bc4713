import type { TaskPolicy } from "../domain/definition.ts";
import type { InputProblem } from "../domain/errors.ts";

/** A task that can be submitted now. */
export interface KnownTask {
  readonly policy: TaskPolicy;
  /**
   * Checks an input against the schema, filling in its defaults in place.
   *
   * @returns what is wrong with it; empty: nothing
   */
  check(input: unknown): readonly InputProblem[] | Promise<readonly InputProblem[]>;
}

/** The task definitions that this installation offers. */
export interface Definitions {
  get(name: string): KnownTask | undefined;
  all(): readonly TaskPolicy[];
  /** From then on every check answers at once. */
  prepare(): Promise<void>;
}
