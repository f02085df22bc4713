import { type InputProblem, Unavailable } from "../domain/errors.ts";
import type { SchemaRunner } from "../ports/definitions.ts";
import type { Source } from "./messages.ts";
import { SchemaLane } from "./schema-lane.ts";

/**
 * Loader threads that run the schemas that are code: one for all tasks, begun with the first input, and one for each task whose
 * schema has hung or been slow once, which from then on holds nobody up but itself.
 */
export class SchemaThreads implements SchemaRunner {
  readonly #entry: URL;
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

  async check(task: string, input: unknown): Promise<readonly InputProblem[]> {
    const file = this.#files.get(task);
    if (file === undefined || this.#stopped)
      throw new Unavailable("schema_failed", `the schema of the task "${task}" cannot be run: its file is broken at the moment`);
    return await this.#lane(this.#hung.has(task) ? task : "").check(task, file, input);
  }

  stop(): void {
    this.#stopped = true;
    for (const lane of this.#lanes.values()) lane.stop();
  }

  #lane(name: string): SchemaLane {
    const [lanes, hung] = [this.#lanes, this.#hung];
    const known = lanes.get(name);
    if (known !== undefined) return known;
    const lane = new SchemaLane(this.#entry, (task, left) => {
      hung.add(task);
      // Files have changed since: it ends here what it has.
      if (lanes !== this.#lanes) lane.adopt(left);
      else this.#lane(task).adopt(left);
    });
    lanes.set(name, lane);
    return lane;
  }
}
