import type { JsonSchema, TaskPolicy } from "../domain/definition.ts";
import { type InputProblem, Unavailable } from "../domain/errors.ts";
import type { SchemaRunner } from "../ports/definitions.ts";
import type { Measure, Source } from "./messages.ts";
import { SchemaLane } from "./schema-lane.ts";

/**
 * Loader threads that run the schemas that are code, and those whose cost depends on the input: one for all tasks, begun with the first input, and one for each task whose
 * schema has hung or been slow once, which from then on holds nobody up but itself.
 */
export class SchemaThreads implements SchemaRunner {
  readonly #entry: URL;
  /** JSON Schemas as texts. */
  readonly #texts = new WeakMap<JsonSchema, string>();
  #files = new Map<string, string>();
  /** By task; "" is everybody's. */
  #lanes = new Map<string, SchemaLane>();
  #hung = new Set<string>();
  #stopped = false;

  constructor(entry: URL, sources: readonly Source[]) {
    this.#entry = entry;
    this.renew(sources);
  }

  /** The task files are other ones: what comes now is checked by threads that import them anew. */
  renew(sources: readonly Source[]): void {
    for (const lane of this.#lanes.values()) lane.close();
    this.#lanes = new Map();
    this.#hung = new Set();
    this.#files = new Map(sources.flatMap(({ policy, file }) => (file === undefined ? [] : [[policy.name, file] as const])));
  }

  async check(policy: TaskPolicy, input: unknown): Promise<readonly InputProblem[]> {
    const task = policy.name;
    const by = this.#measureOf(policy);
    if (by === undefined || this.#stopped)
      throw new Unavailable("schema_failed", `the schema of the task "${task}" cannot be run: its file is broken at the moment`);
    const { problems, filled } = await this.#lane(this.#hung.has(task) ? task : "").check(task, by, input);
    // Its root stays the same object: whoever asked goes on with that.
    if (filled !== undefined) Object.assign(input as object, JSON.parse(filled));
    return problems;
  }

  stop(): void {
    this.#stopped = true;
    for (const lane of this.#lanes.values()) lane.stop();
  }

  #measureOf({ name, input, checkedBy }: TaskPolicy): Measure | undefined {
    if (checkedBy === "code") {
      const file = this.#files.get(name);
      return file === undefined ? undefined : { file };
    }
    const schema = this.#texts.get(input) ?? JSON.stringify(input);
    this.#texts.set(input, schema);
    return { schema };
  }

  #lane(name: string): SchemaLane {
    const [lanes, hung] = [this.#lanes, this.#hung];
    const known = lanes.get(name);
    if (known !== undefined) return known;
    const lane = new SchemaLane(this.#entry, name !== "", (task, left) => {
      hung.add(task);
      // Files have changed since: it ends here what it has.
      if (lanes !== this.#lanes) lane.adopt(left);
      else this.#lane(task).adopt(left);
    });
    lanes.set(name, lane);
    return lane;
  }
}
