import { ArtelError } from "../domain/errors.ts";
import { follow, placeOf, tokensOf } from "../domain/json-pointer.ts";
import type { Shape } from "../domain/workflow-plan.ts";
import type { WorkflowStore } from "../ports/workflows.ts";

/** One input, or one result of a workflow, with all that is put into it, in bytes. */
export const VALUE_MAX_BYTES = 8 * 1024 * 1024;
/** All that is read and written for the tasks that wait for one node, in bytes: everything else waits meanwhile. */
const TOTAL_MAX_BYTES = 128 * 1024 * 1024;
/** Of what was read, so much is kept for the next reference, in bytes. */
const KEPT_BYTES = 16 * 1024 * 1024;

/** What was asked for is larger than can be handed on. */
export class TooLarge extends ArtelError {
  override readonly name = "TooLarge";

  constructor(message: string) {
    super("input_too_large", message);
  }
}

type Results = Pick<WorkflowStore, "result" | "resultBytes">;

/** What a node of a workflow came to, read from the rows of its tasks as far as it is asked for. */
export class HandedOn {
  readonly #results: Results;
  readonly #shape: Shape<number>;
  #spent = 0;
  #kept = 0;
  /** Results by task, and texts by pointer. */
  readonly #parsed = new Map<number, unknown>();
  readonly #texts = new Map<string, string>();

  /** @param shape the tasks by their keys */
  constructor(results: Results, shape: Shape<number>) {
    this.#results = results;
    this.#shape = shape;
  }

  /**
   * What a JSON Pointer leads to, as JSON text; undefined: nowhere.
   *
   * @throws TooLarge
   */
  text(pointer: string): string | undefined {
    const known = this.#texts.get(pointer);
    const text = known ?? this.#find(pointer);
    if (text === undefined) return undefined;
    this.#spend(text.length);
    if (known === undefined) this.#keep(text.length, () => this.#texts.set(pointer, text));
    return text;
  }

  #find(pointer: string): string | undefined {
    const tokens = tokensOf(pointer) ?? [];
    let at: Shape<number> | undefined = this.#shape;
    let depth = 0;
    for (; typeof at === "object" && depth < tokens.length; depth += 1) at = at[placeOf(tokens[depth] ?? "") ?? -1];
    if (at === undefined) return undefined;
    if (typeof at === "number" && depth < tokens.length) {
      const value = follow(this.#parse(at), tokens.slice(depth));
      return value === undefined ? undefined : JSON.stringify(value);
    }
    if (this.#bytes(at) > VALUE_MAX_BYTES) throw new TooLarge(`what "${pointer}" leads to is larger than 8 MiB`);
    return this.#write(at);
  }

  #bytes(shape: Shape<number>): number {
    if (typeof shape === "number") return this.#results.resultBytes(shape);
    return shape.reduce<number>((sum, each) => sum + this.#bytes(each) + 1, 1);
  }

  #write(shape: Shape<number>): string {
    if (typeof shape === "number") return this.#results.result(shape) ?? "null";
    return `[${shape.map((each) => this.#write(each)).join(",")}]`;
  }

  #parse(task: number): unknown {
    if (this.#parsed.has(task)) return this.#parsed.get(task);
    const bytes = this.#results.resultBytes(task);
    this.#spend(bytes);
    const value: unknown = JSON.parse(this.#results.result(task) ?? "null");
    this.#keep(bytes, () => this.#parsed.set(task, value));
    return value;
  }

  #keep(bytes: number, add: () => unknown): void {
    if (this.#kept + bytes > KEPT_BYTES) {
      this.#parsed.clear();
      this.#texts.clear();
      this.#kept = 0;
    }
    add();
    this.#kept += bytes;
  }

  #spend(bytes: number): void {
    this.#spent += bytes;
    if (this.#spent > TOTAL_MAX_BYTES) throw new TooLarge("the tasks that wait together refer to more than 128 MiB in all");
  }
}
