import { ArtelError, type InputProblem } from "../domain/errors.ts";
import { renderInput } from "../domain/result-reference.ts";
import type { TaskFailure } from "../domain/task.ts";
import type { Definitions, KnownTask } from "../ports/definitions.ts";
import type { StoredTask, TaskStore } from "../ports/tasks.ts";
import { type HandedOn, TooLarge, VALUE_MAX_BYTES } from "./handed-on.ts";
import type { Transitions } from "./transitions.ts";
import type { UniqueKeys } from "./unique-keys.ts";

/** Either what a task is run with, as JSON text (null: what stands in its row), or why it cannot be. */
export type MemberInput = { readonly args: string | null } | { readonly failure: TaskFailure };

interface Parts {
  readonly store: TaskStore;
  readonly definitions: Definitions;
  readonly unique: UniqueKeys;
}

/** Completes the inputs of tasks that waited for others, in the moment in which they are let go. */
export class MemberInputs {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /**
   * Puts the results in, checks the input, and takes the key where the task is a unique one. Whatever is wrong with the task
   * is its own failure: the others of the transaction must not suffer from it.
   *
   * @param staged what the transaction makes of other tasks
   * @param unresolved whether the args hold references
   * @param handedOn the value of what stands before the task
   */
  complete(task: StoredTask, staged: Pick<Transitions, "get">, unresolved: boolean, handedOn: HandedOn): MemberInput {
    const known = this.#parts.definitions.get(task.name);
    // One whose input was checked when it was submitted waits for its file, as any task does.
    if (!known && unresolved) return { failure: unknownTask(task) };
    try {
      const args = known && unresolved ? this.#resolve(task, known, handedOn) : null;
      this.#parts.unique.take(task, staged, args ?? undefined);
      return { args };
    } catch (error) {
      if (error instanceof ArtelError) return { failure: { code: error.code, message: error.message } };
      // Nested more deeply than can be walked through.
      if (error instanceof RangeError) return { failure: { code: "invalid_input", message: "the input cannot be checked" } };
      throw error;
    }
  }

  #resolve(task: StoredTask, known: KnownTask, handedOn: HandedOn): string {
    const template: unknown = JSON.parse(this.#parts.store.withBody(task.id)?.args ?? "null");
    let size = 0;
    const text = renderInput(template, (pointer, path) => {
      const value = handedOn.text(pointer);
      if (value === undefined) throw misfit(task, { path, message: `$result "${pointer}" leads nowhere in what stands before` });
      size += value.length;
      if (size > VALUE_MAX_BYTES) throw inputTooLarge();
      return value;
    });
    const input: unknown = JSON.parse(text);
    const problems = known.checkShape(input);
    if (problems instanceof Promise) throw new Error("Definitions.prepare has not been awaited");
    const [problem] = problems;
    if (problem) throw misfit(task, problem);
    const args = JSON.stringify(input);
    if (Buffer.byteLength(args) > VALUE_MAX_BYTES) throw inputTooLarge();
    return args;
  }
}

const unknownTask = ({ name }: StoredTask): TaskFailure => ({
  code: "unknown_task",
  message: `there is no task "${name}" any more, so its input cannot be checked`,
});

const misfit = ({ name }: StoredTask, { path, message }: InputProblem): ArtelError =>
  new ArtelError("invalid_input", `the input does not fit the task "${name}": ${path === "" ? "it" : path} ${message}`);

const inputTooLarge = (): TooLarge => new TooLarge("with the results put in, the input is larger than 8 MiB");
