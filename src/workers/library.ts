import { basename, extname } from "node:path";
import { plugin } from "bun";
import type { TaskDefinition } from "../domain/definition.ts";
import { InvalidInput } from "../domain/errors.ts";
import * as artel from "../tasks/artel.ts";
import { loadBuiltin } from "../tasks/builtin.ts";
import { checkTaskName } from "../tasks/task-name.ts";
import type { Source } from "./messages.ts";
import { type Runnable, runnable } from "./schemas.ts";

/** Makes `import … from "artel"` resolve in this thread, for files that lie outside the executable. */
export function provideArtel(): void {
  plugin({
    name: "artel",
    setup(build) {
      build.module("artel", () => ({ exports: { ...artel }, loader: "object" }));
    },
  });
}

/**
 * Imports one task file.
 *
 * @param file absolute path
 * @returns its definition, named after the file unless it names itself
 * @throws whatever the file throws; InvalidInput `invalid_definition` where its default export is no task
 */
export async function importTask(file: string): Promise<TaskDefinition> {
  const module = (await import(file)) as { default?: TaskDefinition };
  const definition = module.default;
  if (definition === undefined)
    throw new InvalidInput("invalid_definition", "there is no default export: write `export default task({ … })`");
  if (typeof definition?.run !== "function" || typeof definition.policy !== "object") {
    throw new InvalidInput("invalid_definition", "the default export is no task: write `export default task({ … })`");
  }
  const name = definition.policy.name || basename(file, extname(file));
  checkTaskName(name);
  return { ...definition, policy: { ...definition.policy, name } };
}

/** The code of the known tasks, each imported when it first runs here. */
export class Library {
  readonly #sources: ReadonlyMap<string, Source>;
  readonly #loaded = new Map<string, Runnable>();

  constructor(sources: readonly Source[]) {
    this.#sources = new Map(sources.map((source) => [source.policy.name, source]));
  }

  /** At once when it is there already. Rejects with what its import threw. */
  load(name: string): Runnable | Promise<Runnable> {
    return this.#loaded.get(name) ?? this.#import(name);
  }

  /** Where the code of `name` lies; undefined: inside the executable. */
  file(name: string): string | undefined {
    return this.#sources.get(name)?.file;
  }

  async #import(name: string): Promise<Runnable> {
    const source = this.#sources.get(name);
    if (!source) throw new Error(`no code for the task "${name}" on this worker`);
    const definition = await (source.file === undefined ? loadBuiltin(name) : importTask(source.file).then(runnable));
    this.#loaded.set(name, definition);
    return definition;
  }
}
