import { type Dirent, readdirSync, statSync } from "node:fs";
import { extname, join, resolve } from "node:path";
import type { TaskPolicy } from "../domain/definition.ts";
import type { Log, Service } from "../ports/runtime.ts";
import type { LoadedFiles } from "./task-files.ts";

/** How often the folder is looked at, in milliseconds. A change counts once two looks agree: half-written files do no harm. */
const LOOK_MS = 200;
/** Looks take no more than one part in so many of the time, however much lies in the folder. */
const LOOK_PARTS = 20;
/** What task files are made of. Data is left out: a task may write some beside itself. */
const CODE = new Set([".ts", ".tsx", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs"]);
const SETTINGS = new Set(["package.json", "tsconfig.json"]);
/** Files that are looked at; beyond it a folder is no folder of task files. */
const FILES_MAX = 2_000;

interface Parts {
  /** Undefined: there is none, and the built-in tasks are all. */
  readonly directory: string | undefined;
  /** Whether changes are looked for. */
  readonly watch: boolean;
  readonly load: () => Promise<LoadedFiles>;
  readonly log: Log;
}

/** The tasks of this process, loaded again when a task file, or a module of theirs beside them, has changed. */
export class TaskFolder implements Service {
  readonly #parts: Parts;
  #loaded: LoadedFiles = { sources: [], broken: [] };
  /** Of files that are broken now, as they were when they were not. */
  #lastGood = new Map<string, TaskPolicy>();
  #loadedState = "";
  #lastState = "";
  #timer: ReturnType<typeof setTimeout> | undefined;
  #loading = false;
  #stopped = false;
  #onChange: () => void = () => {};

  private constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Loads everything for the first time. Throws what `load` throws. */
  static async open(parts: Parts): Promise<TaskFolder> {
    const folder = new TaskFolder(parts);
    folder.#loadedState = folder.#lastState = folder.#state();
    folder.#take(await parts.load());
    return folder;
  }

  get loaded(): LoadedFiles {
    return this.#loaded;
  }

  /** What may be submitted: also the tasks of files that are broken now, which wait until those are mended. */
  get offered(): readonly TaskPolicy[] {
    const offered = new Map(this.#loaded.sources.map(({ policy }) => [policy.name, policy]));
    for (const policy of this.#lastGood.values()) if (!offered.has(policy.name)) offered.set(policy.name, policy);
    return [...offered.values()];
  }

  /** @param onChange called when `loaded` is another one */
  watch(onChange: () => void): void {
    this.#onChange = onChange;
  }

  start(): void {
    if (this.#parts.directory !== undefined && this.#parts.watch) this.#lookIn(LOOK_MS);
  }

  /** What is being loaded comes too late: a file that hangs holds nobody up. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #lookIn(ms: number): void {
    this.#timer = setTimeout(() => {
      const began = performance.now();
      this.#look();
      this.#lookIn(Math.max(LOOK_MS, (performance.now() - began) * LOOK_PARTS));
    }, ms);
  }

  #look(): void {
    if (this.#loading) return;
    const state = this.#state();
    const settled = state === this.#lastState;
    this.#lastState = state;
    if (!settled || state === this.#loadedState) return;
    this.#loadedState = state;
    void this.#load();
  }

  async #load(): Promise<void> {
    const { load, log } = this.#parts;
    this.#loading = true;
    try {
      const loaded = await load();
      if (this.#stopped) return;
      this.#take(loaded);
      log.info("task files have changed", { tasks: this.#loaded.sources.map(({ policy }) => policy.name) });
      this.#onChange();
    } catch (error) {
      // The folder has gone, or cannot be read now: what is on offer stays.
      log.error("could not load the task files again", { error: error instanceof Error ? error.message : String(error) });
    } finally {
      this.#loading = false;
    }
  }

  #take(loaded: LoadedFiles): void {
    const before = new Map(this.#lastGood);
    for (const { file, policy } of this.#loaded.sources) if (file !== undefined) before.set(file, policy);
    this.#lastGood = new Map(
      loaded.broken.flatMap(({ file }) => {
        const policy = before.get(file);
        return policy ? [[file, policy] as const] : [];
      }),
    );
    this.#loaded = loaded;
    const { log } = this.#parts;
    for (const { file, reason } of loaded.broken) log.error("task file left out", { file, reason });
    for (const { file, gaps = [] } of loaded.sources) {
      for (const { text, nothing } of gaps) if (nothing) log.warn("schema without JSON Schema", { file, reason: text });
    }
  }

  #state(): string {
    return this.#parts.directory === undefined ? "" : stateOf(this.#parts.directory);
  }
}

/** Changes whenever a file of code below a folder does; those of packages are not looked at, only which there are to be. */
export function stateOf(directory: string): string {
  const stamps: string[] = [];
  const folders = [resolve(directory)];
  for (let folder = folders.pop(); folder !== undefined && stamps.length < FILES_MAX; folder = folders.pop()) {
    for (const entry of entriesOf(folder)) {
      if (entry.name.startsWith(".") || entry.name === "node_modules") continue;
      const path = join(folder, entry.name);
      if (entry.isDirectory()) folders.push(path);
      else if (CODE.has(extname(entry.name)) || SETTINGS.has(entry.name)) stamps.push(stampOf(path));
    }
  }
  return stamps.sort().join("\n");
}

function entriesOf(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
}

function stampOf(path: string): string {
  try {
    const { mtimeMs, size, ino } = statSync(path);
    return `${path} ${mtimeMs} ${size} ${ino}`;
  } catch {
    return path;
  }
}
