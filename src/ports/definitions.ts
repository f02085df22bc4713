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
  /**
   * As `check`, by as much of the JSON Schema as is cheap: the rest, and what is only code, is left to the worker, which looks
   * again before it runs a task.
   */
  checkShape(input: unknown): readonly InputProblem[] | Promise<readonly InputProblem[]>;
}

/** Runs the schemas that are code, and those whose cost depends on the input, off the main thread. */
export interface SchemaRunner {
  /**
   * Checks an input by the code of its task's schema; where that is data, by the JSON Schema, filling in its defaults in place.
   *
   * @returns what is wrong with it; empty: nothing
   * @throws Unavailable `schema_timeout`, `schema_failed`, `schema_busy`
   */
  check(task: TaskPolicy, input: unknown): Promise<readonly InputProblem[]>;
}

/** The task definitions that this installation offers. */
export interface Definitions {
  get(name: string): KnownTask | undefined;
  all(): readonly TaskPolicy[];
  /** From then on every check of a shape answers at once. */
  prepare(): Promise<void>;
}
