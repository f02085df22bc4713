import { ArtelError } from "../domain/errors.ts";
import { follow, placeOf, tokensOf } from "../domain/json-pointer.ts";
import type { Shape } from "../domain/workflow-plan.ts";
import type { WorkflowStore } from "../ports/workflows.ts";

/** One input, or one result of a workflow, with all that is put into it, in bytes. */
export const VALUE_MAX_BYTES = 8 * 1024 * 1024;
/** All that is read and written for the tasks that wait for one node, in bytes: everything else waits meanwhile. */
const TOTAL_MAX_BYTES = 128 * 1024 * 1024;
/** Of results that were read, so much is kept for the next reference, in bytes. */
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
  readonly #parsed = new Map<number, unknown>();
  #whole: { readonly pointer: string; readonly text: string } | undefined;

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
    const text = this.#whole?.pointer === pointer ? this.#whole.text : this.#find(pointer);
    this.#spend(text?.length ?? 0);
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
    const text = this.#write(at);
    this.#whole = { pointer, text };
    return text;
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
    if (this.#kept + bytes > KEPT_BYTES) {
      this.#parsed.clear();
      this.#kept = 0;
    }
    const value: unknown = JSON.parse(this.#results.result(task) ?? "null");
    this.#parsed.set(task, value);
    this.#kept += bytes;
    return value;
  }

  #spend(bytes: number): void {
    this.#spent += bytes;
    if (this.#spent > TOTAL_MAX_BYTES) throw new TooLarge("the tasks that wait together refer to more than 128 MiB in all");
  }
}
