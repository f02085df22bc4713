import { afterAll, setDefaultTimeout } from "bun:test";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { StoredTask, TaskWithBody } from "../../src/ports/tasks.ts";
import { processes, threads } from "../../src/workers/hands.ts";
import { importTask, provideArtel } from "../../src/workers/library.ts";
import type { Source } from "../../src/workers/messages.ts";
import type { HandKind } from "../../src/workers/slot-worker.ts";
import { Supervisor } from "../../src/workers/supervisor.ts";
import { ANNA, type Core, openCore } from "./core.ts";

export const THREADS = threads(new URL("../../src/workers/thread.ts", import.meta.url));
export const PROCESSES = processes([process.execPath, join(import.meta.dir, "isolated.ts")]);

/** What task files of tests have at hand; `gate` is a file that opens once it is there, `mark` leaves one. */
const PRELUDE = `
import { task, t, TaskError, NonRetryableError } from "artel";
import { appendFileSync, existsSync } from "node:fs";
const open = async (ctx, gate) => { while (!existsSync(gate)) await ctx.sleep(2); };
const mark = (file, text = "ran\\n") => appendFileSync(file, text);
`;

/** Task files in a directory of their own; `path` gives names of gates and marks beside them. */
export class TaskFiles implements Disposable {
  readonly directory = mkdtempSync(join(tmpdir(), "artel-tasks-"));

  /** @param sources name to the options of its task() call, as code */
  constructor(sources: Readonly<Record<string, string>>) {
    for (const [name, code] of Object.entries(sources)) {
      writeFileSync(join(this.directory, `${name}.ts`), `${PRELUDE}\nexport default task({ retry: 1, ${code} });\n`);
    }
    this.names = Object.keys(sources);
  }

  readonly names: readonly string[];

  path(name: string): string {
    return join(this.directory, name);
  }

  open(gate: string): void {
    writeFileSync(this.path(gate), "");
  }

  marks(name: string): Promise<string> {
    return existsSync(this.path(name)) ? Bun.file(this.path(name)).text() : Promise.resolve("");
  }

  async sources(): Promise<Source[]> {
    provideArtel();
    return Promise.all(
      this.names.map(async (name) => {
        const file = this.path(`${name}.ts`);
        return { file, policy: (await importTask(file)).policy };
      }),
    );
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export interface FloorOptions {
  readonly threads?: number;
  readonly slots?: number;
  readonly threadKind?: HandKind;
  readonly processKind?: HandKind;
  /** An existing core, for a second supervisor over it. */
  readonly core?: Core;
}

/** The core with real threads and processes that run these task files. */
export async function openFloor(files: TaskFiles, options: FloorOptions = {}) {
  const sources = await files.sources();
  const core = options.core ?? (await openCore({ policies: sources.map(({ policy }) => policy), clock: { now: Date.now } }));
  core.scheduler.start();
  const supervisor = new Supervisor({
    broker: core.hub,
    worker: "floor",
    threads: options.threads ?? 1,
    slots: options.slots ?? 8,
    sources,
    about: { host: "here", pid: 1, version: "0.0.0-test" },
    allowPrivateHosts: false,
    threadKind: options.threadKind ?? THREADS,
    processKind: options.processKind ?? PROCESSES,
    clock: core.clock,
    random: core.random,
    log: core.log,
  });
  supervisor.start();
  const submit = (name: string, input: unknown = {}): Promise<StoredTask> => core.tasks.submit(ANNA, name, input);
  const begun = ({ id }: { id: string }): Promise<void> =>
    core.notices.until(() => core.notices.all.some(({ kind, task }) => kind === "progress" && task.id === id));
  return {
    core,
    supervisor,
    notices: core.notices,
    submit,
    /** Submits, and resolves with the task once it runs. */
    async started(name: string, input: unknown = {}): Promise<StoredTask> {
      const task = await submit(name, input);
      return core.notices.status(task.id, "in progress");
    },
    /** Submits, and resolves with the task once its code has reported progress: it has begun, beyond doubt. */
    async begun(name: string, input: unknown = {}): Promise<StoredTask> {
      const task = await submit(name, input);
      await begun(task);
      return task;
    },
    /** Resolves once the task has reported progress. */
    reported: begun,
    /** Resolves with the row once the task has ended. */
    async ended({ id }: { id: string }): Promise<TaskWithBody> {
      await core.notices.ended(id);
      return core.tasks.show(ANNA, id);
    },
    /** Submits, and resolves with the row once the task has ended. */
    async run(name: string, input: unknown = {}): Promise<TaskWithBody> {
      const { id } = await submit(name, input);
      await core.notices.ended(id);
      return core.tasks.show(ANNA, id);
    },
    /** Submits one that is suspected already, as if so many of its processes had died. */
    async suspect(name: string, input: unknown = {}, deaths = 1): Promise<StoredTask> {
      const task = await core.tasks.submit(ANNA, name, input, { delayMs: 60_000 });
      core.db.run("UPDATE tasks SET deaths = ?, run_at = 0 WHERE id = ?", [deaths, task.id]);
      await core.scheduler.tick();
      return task;
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await supervisor.stop(Date.now());
      if (!options.core) await core[Symbol.asyncDispose]();
    },
  };
}

export type Floor = Awaited<ReturnType<typeof openFloor>>;

/** A floor for all tests of a file, gone after them with the task files: `await` it at the file's top. */
export async function suiteFloor(files: TaskFiles, options: FloorOptions = {}): Promise<Floor> {
  setDefaultTimeout(30_000);
  const floor = await openFloor(files, options);
  afterAll(async () => {
    await floor[Symbol.asyncDispose]();
    files[Symbol.dispose]();
  });
  return floor;
}
