import { readdirSync, statSync } from "node:fs";
import { basename, extname, join, resolve } from "node:path";
import { StartupError } from "../domain/errors.ts";
import type { FromLoader, Source, ToLoader } from "./messages.ts";

/** A file that takes longer than this to import is taken for stuck, in milliseconds. */
const IMPORT_MS = 5_000;
/** The same in a thread that has imported others, where a file that takes longer gets a thread of its own first. */
const SHARED_IMPORT_MS = 2_000;
const ENDINGS = new Set([".ts", ".js"]);

/** What a folder of task files holds. */
export interface LoadedFiles {
  readonly sources: readonly Source[];
  /** Files that cannot be used, and why, in one line each that begins with the file's name. */
  readonly broken: readonly { readonly file: string; readonly reason: string }[];
}

/**
 * The task files directly in a folder, by name; tests and declarations are none.
 *
 * @throws StartupError `tasks_unreadable`
 */
export function listTaskFiles(directory: string): string[] {
  const path = resolve(directory);
  try {
    return readdirSync(path)
      .filter(
        (name) =>
          ENDINGS.has(extname(name)) && !name.endsWith(".d.ts") && !/\.(test|spec)\.[tj]s$/.test(name) && !name.startsWith("."),
      )
      .sort()
      .map((name) => join(path, name))
      .filter((file) => statSync(file).isFile());
  } catch (cause) {
    throw new StartupError(
      "tasks_unreadable",
      `cannot read the tasks folder ${path}: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    );
  }
}

/**
 * Loads every file in a loader thread. A broken one harms no other: what hangs is given up with its thread, and a new
 * thread goes on with the rest.
 *
 * @param taken names that are not to be had: the built-in tasks
 * @param checkPolicy throws where a policy cannot be used
 */
export async function loadTaskFiles(
  entry: URL,
  files: readonly string[],
  taken: Iterable<string>,
  checkPolicy: (policy: Source["policy"]) => void,
): Promise<LoadedFiles> {
  const sources: Source[] = [];
  const broken: { file: string; reason: string }[] = [];
  const names = new Set(taken);
  const loading = new Loading(entry);
  for (const file of files) {
    const answer = await loading.load(file);
    const reason = answer.kind === "broken" ? answer.reason : refusal(answer, names, checkPolicy);
    if (reason !== undefined) broken.push({ file, reason });
    else if (answer.kind === "loaded") {
      names.add(answer.policy.name);
      sources.push({ policy: answer.policy, file, gaps: answer.gaps });
    }
  }
  loading.stop();
  return { sources, broken };
}

function refusal(
  { file, policy, place }: Extract<Answer, { kind: "loaded" }>,
  names: ReadonlySet<string>,
  checkPolicy: (policy: Source["policy"]) => void,
): string | undefined {
  if (names.has(policy.name)) return `${basename(file)}: there is a task "${policy.name}" already`;
  try {
    checkPolicy(policy);
    return undefined;
  } catch (error) {
    return `${place}: ${error instanceof Error ? error.message : String(error)}`;
  }
}

type Answer = Extract<FromLoader, { kind: "loaded" | "broken" }>;

/** Loader threads, one after the other: one that a file has hung or ended is given up. */
class Loading {
  readonly #entry: URL;
  #loader: Loader | undefined;

  constructor(entry: URL) {
    this.#entry = entry;
  }

  async load(file: string): Promise<Answer> {
    // Where other files were imported before, what hangs or ends the thread may be one of them.
    const shared = this.#loader === undefined ? undefined : await this.#try(file, SHARED_IMPORT_MS);
    const answer = shared ?? (this.#loader === undefined ? await this.#try(file, IMPORT_MS) : undefined);
    const reason = `${basename(file)}: the import did not end within ${IMPORT_MS / 1_000} s, or ended its thread`;
    return answer ?? { kind: "broken", file, reason };
  }

  stop(): void {
    this.#loader?.stop();
    this.#loader = undefined;
  }

  /** @returns undefined when the file hangs or ends the thread, which is given up */
  async #try(file: string, limitMs: number): Promise<Answer | undefined> {
    this.#loader ??= new Loader(this.#entry);
    const answer = await this.#loader.load(file, limitMs);
    if (answer === undefined) this.stop();
    return answer;
  }
}

/** One loader thread. */
class Loader {
  readonly #worker: Worker;
  readonly #ready: Promise<void>;
  #answer: ((answer: Answer | undefined) => void) | undefined;

  constructor(entry: URL) {
    this.#worker = new Worker(entry.href);
    this.#ready = new Promise((resolveReady) => {
      this.#worker.onmessage = ({ data }: MessageEvent<FromLoader>) => {
        if (data.kind === "ready") resolveReady();
        else if (data.kind === "loaded" || data.kind === "broken") this.#answer?.(data);
      };
    });
    this.#worker.onerror = (event) => event.preventDefault();
    this.#worker.addEventListener("close", () => this.#answer?.(undefined));
  }

  /** @returns undefined when the file hangs or ends the thread */
  async load(file: string, limitMs: number): Promise<Answer | undefined> {
    await this.#ready;
    return await new Promise((resolveAnswer) => {
      const timer = setTimeout(() => this.#answer?.(undefined), limitMs);
      this.#answer = (answer) => {
        clearTimeout(timer);
        this.#answer = undefined;
        resolveAnswer(answer);
      };
      this.#worker.postMessage({ kind: "load", file } satisfies ToLoader);
    });
  }

  stop(): void {
    this.#worker.terminate();
  }
}
