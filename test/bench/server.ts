/** The executable under measurement: started in an empty folder, with users and the tasks that scenarios submit. */
import type { Database } from "bun:sqlite";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openDatabase } from "../../src/drivers/sqlite/database.ts";
import type { BrokerName } from "./bench.ts";

const FILES = {
  noop: `import { task, t } from "artel";
export default task({ input: t.Object({ to: t.String(), n: t.Number() }), run: () => null });`,
  /** Waits as a task that asks a service does, in milliseconds. */
  pause: `import { task, t } from "artel";
export default task({ input: t.Object({ ms: t.Number() }), run: ({ ms }) => Bun.sleep(ms) });`,
  /** Runs until somebody answers at an address. */
  gate: `import { task, t } from "artel";
export default task({ input: t.Object({ url: t.String() }), retry: 1, run: async ({ url }) => { await (await fetch(url)).text(); } });`,
  /** Reports again and again, each time in a turn of its own. */
  progress: `import { task, t } from "artel";
export default task({
  input: t.Object({ reports: t.Number() }),
  async run({ reports }, ctx) {
    for (let i = 1; i <= reports; i += 1) {
      ctx.progress(i, reports, "step " + i);
      await new Promise(setImmediate);
    }
  },
});`,
};

/** A body as scenarios submit it to `noop`. */
export const INPUT = { to: "somebody@example.com", n: 42 };
/** What one call takes at most. */
export const BATCH = 1_000;

export interface ServerOptions {
  /** Without an account and the task files, as those do that measure the bare start. */
  readonly bare?: boolean;
  readonly broker?: BrokerName;
}

export interface Launch {
  /** What is started: the executable, or what takes its place under a profiler. */
  readonly command: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly flags: readonly string[];
  readonly bare?: boolean | undefined;
  /** Whether it is to end in order, so that it can write what it has seen. */
  readonly gently?: boolean;
}

/** An account and what it does. */
export class BenchUser {
  readonly token: string;
  readonly #server: () => string;

  constructor(server: () => string, token: string) {
    this.#server = server;
    this.token = token;
  }

  get(path: string): Promise<Response> {
    return fetch(this.#server() + path, { headers: { authorization: `Bearer ${this.token}` } });
  }

  post(path: string, body: unknown): Promise<Response> {
    return fetch(this.#server() + path, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${this.token}` },
      body: JSON.stringify(body),
    });
  }

  /** Submits so many tasks in batches. @returns their ids */
  async submit(name: string, count: number, input: unknown = INPUT): Promise<string[]> {
    const ids: string[] = [];
    while (ids.length < count) {
      const batch = Array.from({ length: Math.min(BATCH, count - ids.length) }, () => input);
      const response = await this.post(`/tasks/${name}/batch`, batch);
      if (response.status !== 202) throw new Error(`batch of ${name}: ${response.status} ${await response.text()}`);
      ids.push(...((await response.json()) as { task_ids: string[] }).task_ids);
    }
    return ids;
  }
}

export class BenchServer implements AsyncDisposable {
  /** Milliseconds from spawning to the first 200. */
  startMs = 0;
  port = 0;
  readonly #launch: Launch;
  readonly #folder = mkdtempSync(join(tmpdir(), "artel-bench-"));
  #child: Bun.Subprocess<"ignore", "pipe", "inherit"> | undefined;
  readonly #workers: Bun.Subprocess[] = [];
  #user: BenchUser | undefined;

  private constructor(launch: Launch) {
    this.#launch = launch;
    mkdirSync(join(this.#folder, "tasks"));
    for (const [name, text] of Object.entries(FILES)) writeFileSync(join(this.#folder, "tasks", `${name}.ts`), text);
  }

  static async start(launch: Launch): Promise<BenchServer> {
    const server = new BenchServer(launch);
    try {
      await server.#begin(launch.flags);
      if (!launch.bare) server.#user = await server.join("bench@example.com");
      return server;
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** The first user. */
  get user(): BenchUser {
    if (!this.#user) throw new Error("this server was started bare");
    return this.#user;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** A new account with a token. */
  async join(email: string): Promise<BenchUser> {
    const nobody = new BenchUser(() => this.url, "");
    const credentials = { email, password: "correct horse battery" };
    await nobody.post("/auth/register", credentials);
    const session = (await (await nobody.post("/auth/login", credentials)).json()) as { access_token: string };
    return new BenchUser(() => this.url, session.access_token);
  }

  /** How many tasks are done, of all that this process has seen. */
  async done(): Promise<number> {
    const text = await (await fetch(`${this.url}/metrics`)).text();
    return Number(/artel_tasks_ended_total\{status="done"\} (\d+)/.exec(text)?.[1] ?? 0);
  }

  /** Waits until so many are done. */
  async untilDone(count: number, lookMs = 20): Promise<void> {
    while ((await this.done()) < count) await Bun.sleep(lookMs);
  }

  /** Ends it in order and starts it again, with other flags and with what `change` does to the database in between. */
  async restart(flags: readonly string[], change: (db: Database) => void = () => {}): Promise<void> {
    await this.#end("SIGTERM");
    const { db, close } = openDatabase(join(this.#folder, "data", "artel.db"));
    change(db);
    db.run("PRAGMA wal_checkpoint(TRUNCATE)");
    close();
    await this.#begin([...flags, ...this.#redisFlags]);
  }

  /** Starts a worker process on the server's Redis; it goes with the server. */
  work(threads: number): Bun.Subprocess {
    const own = ["--tasks", "tasks", "--threads", `${threads}`, "--log-level", "error"];
    const worker = this.#spawn(["work", ...own, ...this.#redisFlags]);
    this.#workers.push(worker);
    return worker;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const worker of this.#workers) worker.kill("SIGKILL");
    await Promise.all(this.#workers.map((worker) => worker.exited));
    await this.#end(this.#launch.gently ? "SIGTERM" : "SIGKILL");
    rmSync(this.#folder, { recursive: true, force: true });
  }

  get #redisFlags(): readonly string[] {
    const { flags } = this.#launch;
    return flags.includes("--redis") ? flags.slice(flags.indexOf("--redis")) : [];
  }

  async #begin(flags: readonly string[]): Promise<void> {
    const tasks = this.#launch.bare ? [] : ["--tasks", "tasks"];
    const begun = performance.now();
    this.#child = this.#spawn(["serve", "--port", "0", "--log-level", "error", ...tasks, ...flags]);
    this.port = await readPort(this.#child.stdout);
    await (await fetch(`${this.url}/health/live`)).arrayBuffer();
    this.startMs = performance.now() - begun;
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    this.#child?.kill(signal);
    await this.#child?.exited;
  }

  #spawn(args: readonly string[]): Bun.Subprocess<"ignore", "pipe", "inherit"> {
    const { command, environment } = this.#launch;
    const env = { HOME: this.#folder, PATH: "/usr/bin:/bin", ...environment };
    return Bun.spawn([...command, ...args], { cwd: this.#folder, env, stdin: "ignore", stdout: "pipe", stderr: "inherit" });
  }
}

/** A program beside which something is measured. It says an address once it listens. */
export class Rival implements AsyncDisposable {
  readonly port: number;
  /** Milliseconds from spawning to its first answer. */
  readonly startMs: number;
  readonly #child: Bun.Subprocess;

  private constructor(child: Bun.Subprocess, port: number, startMs: number) {
    this.#child = child;
    this.port = port;
    this.startMs = startMs;
  }

  static async start(command: readonly string[]): Promise<Rival> {
    const begun = performance.now();
    const child = Bun.spawn([...command], { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
    const port = await readPort(child.stdout);
    await (await fetch(`http://127.0.0.1:${port}`)).arrayBuffer();
    return new Rival(child, port, performance.now() - begun);
  }

  get pid(): number {
    return this.#child.pid;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }
}

/** The command that runs a file of rivals/. */
export const rival = (file: string, ...args: readonly string[]): string[] => [
  process.execPath,
  join(import.meta.dir, "rivals", file),
  ...args,
];

/** Runs a rival that measures itself. @returns what it prints, as JSON */
export async function measured<T>(command: readonly string[]): Promise<T> {
  const child = Bun.spawn([...command], { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
  const text = await child.stdout.text();
  if ((await child.exited) !== 0) throw new Error(`${command.join(" ")} failed`);
  return JSON.parse(text) as T;
}

async function readPort(stdout: ReadableStream<Uint8Array>): Promise<number> {
  let text = "";
  for await (const chunk of stdout) {
    text += new TextDecoder().decode(chunk);
    const port = /http:\/\/[^:]+:(\d+)/.exec(text)?.[1];
    if (port !== undefined) return Number(port);
  }
  throw new Error("the server did not start");
}
