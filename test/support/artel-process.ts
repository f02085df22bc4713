/** The executable as its users have it: alone in a folder, started as a process, ended whatever happens. */
import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { RedisSettings } from "../../src/compose-workers.ts";
import { brokerOfRun } from "./broker.ts";
import { executable } from "./executable.ts";
import { eventually, PATIENCE_MS, within } from "./waiting.ts";

export interface Ended {
  /** Null where a signal ended it. */
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

type Environment = Readonly<Record<string, string>>;

/** One running process of the executable, with all that it prints. */
export class ArtelProcess {
  readonly pid: number;
  readonly ended: Promise<Ended>;
  stdout = "";
  stderr = "";
  #ended: Ended | undefined;
  readonly #child: Bun.Subprocess<Blob, "pipe", "pipe">;
  readonly #looks = new Set<() => void>();

  /** @param stdin all that it can read there */
  constructor(command: readonly string[], cwd: string, env: Environment, stdin = "") {
    this.#child = Bun.spawn([...command], { cwd, env, stdin: new Blob([stdin]), stdout: "pipe", stderr: "pipe" });
    this.pid = this.#child.pid;
    this.ended = this.#watch();
  }

  get running(): boolean {
    return this.#ended === undefined;
  }

  /** What it has logged: the lines on stderr that are JSON. */
  get log(): readonly Readonly<Record<string, unknown>>[] {
    return lines(this.stderr)
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  /** Waits for something that it prints. Fails when it ends without. */
  async until<T>(find: () => T | undefined, what: string): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const look = (): void => {
      const found = find();
      if (found !== undefined) resolve(found);
      else if (this.#ended) reject(new Error(`${what} did not come before the end ${this.#summary()}`));
    };
    this.#looks.add(look);
    look();
    return await within(promise, what, () => this.#summary()).finally(() => this.#looks.delete(look));
  }

  /** Waits for a line of its log with this message. */
  async logged(message: string): Promise<Readonly<Record<string, unknown>>> {
    return await this.until(() => this.log.find((line) => line["message"] === message), `the log line "${message}"`);
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Sends a signal and waits for the end. */
  async end(signal: NodeJS.Signals = "SIGTERM"): Promise<Ended> {
    this.signal(signal);
    return await within(this.ended, `the end after ${signal}`, () => this.#summary());
  }

  async #watch(): Promise<Ended> {
    await Promise.all([this.#read(this.#child.stdout, "stdout"), this.#read(this.#child.stderr, "stderr"), this.#child.exited]);
    const { exitCode, signalCode } = this.#child;
    const signal = signalCode === null ? null : String(signalCode);
    const ended = { code: exitCode, signal, stdout: this.stdout, stderr: this.stderr };
    this.#ended = ended;
    for (const look of this.#looks) look();
    return ended;
  }

  async #read(stream: ReadableStream<Uint8Array>, into: "stdout" | "stderr"): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of stream) {
      this[into] += decoder.decode(chunk, { stream: true });
      for (const look of this.#looks) look();
    }
  }

  #summary(): string {
    const end = this.#ended ? `ended with ${this.#ended.code ?? this.#ended.signal}` : "running";
    return `(${end}; stdout ${JSON.stringify(this.stdout.slice(-500))}; stderr ${JSON.stringify(this.stderr.slice(-2_000))})`;
  }
}

/** A process that serves. */
export interface Served {
  readonly process: ArtelProcess;
  /** As its ready line says: `http://HOST:PORT`. */
  readonly url: string;
}

/** A folder with nothing in it but a copy of the executable, and a home folder with nothing at all. */
export class Place implements AsyncDisposable {
  readonly root = realpathSync(mkdtempSync(join(tmpdir(), "artel-e2e-")));
  readonly folder = join(this.root, "place");
  readonly home = join(this.root, "home");
  readonly program: string;
  readonly #processes: ArtelProcess[] = [];
  readonly #brokers = new Map<string, RedisSettings | undefined>();

  private constructor(built: string) {
    mkdirSync(this.folder);
    mkdirSync(this.home);
    this.program = join(this.folder, process.platform === "win32" ? "artel.exe" : "artel");
    install(built, this.program);
  }

  static async make(): Promise<Place> {
    return new Place(await executable());
  }

  path(...parts: readonly string[]): string {
    return join(this.folder, ...parts);
  }

  /** Puts another executable in its place, as an upgrade does; what runs goes on as it is. */
  replace(built: string): void {
    rmSync(this.program);
    install(built, this.program);
  }

  /** Writes files by their paths in the folder. */
  write(files: Readonly<Record<string, string | Uint8Array>>): void {
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(dirname(this.path(name)), { recursive: true });
      writeFileSync(this.path(name), content);
    }
  }

  /** Every file below the folder with what is in it; the executable, which is large, by its name. */
  contents(): Record<string, string> {
    const files = readdirSync(this.folder, { recursive: true, withFileTypes: true });
    return Object.fromEntries(
      files.map((file) => {
        const path = join(file.parentPath, file.name);
        const read = file.isFile() && path !== this.program;
        return [path, read ? createHash("sha256").update(readFileSync(path)).digest("hex") : ""];
      }),
    );
  }

  /** @param through a command that runs the command behind it in its own place, such as another machine */
  start(args: readonly string[], env: Environment = {}, through: readonly string[] = [], stdin = ""): ArtelProcess {
    const started = new ArtelProcess([...through, this.program, ...args], this.folder, { HOME: this.home, ...env }, stdin);
    this.#processes.push(started);
    return started;
  }

  /** Runs a command to its end. */
  async run(args: readonly string[], env: Environment = {}, stdin = ""): Promise<Ended> {
    return await within(this.start(args, env, [], stdin).ended, `the end of artel ${args.join(" ")}`);
  }

  /** Starts `artel serve` on a free port, unless `args` name one, and waits until it is ready. */
  async serve(args: readonly string[] = [], env: Environment = {}): Promise<Served> {
    const port = args.includes("--port") || "ARTEL_PORT" in env ? [] : ["--port", "0"];
    const started = this.start(["serve", ...port, ...args, ...(await this.#broker(args, env))], env);
    const url = await started.until(() => /^.*(http:\/\/[^\s/]+:\d+).*\n/m.exec(started.stdout)?.[1], "the ready line");
    return { process: started, url };
  }

  /** On the run's broker, with a namespace for each data directory. */
  async #broker(args: readonly string[], env: Environment): Promise<readonly string[]> {
    if (args.includes("--redis") || "ARTEL_REDIS" in env) return [];
    const data = args.includes("--data") ? String(args[args.indexOf("--data") + 1]) : (env["ARTEL_DATA"] ?? "./data");
    if (!this.#brokers.has(data)) this.#brokers.set(data, await brokerOfRun());
    const broker = this.#brokers.get(data);
    return broker ? ["--redis", broker.url, "--namespace", broker.namespace] : [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const each of this.#processes) if (each.running) each.signal("SIGKILL");
    await Promise.all(this.#processes.map((each) => within(each.ended, "the end after SIGKILL")));
    rmSync(this.root, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** A file of its own where it lies elsewhere; on one disk a second name does, and spares copying 100 MB for each test. */
function install(built: string, program: string): void {
  try {
    linkSync(built, program);
  } catch {
    copyFileSync(built, program);
  }
}

export const lines = (text: string): string[] => text.split("\n").filter((line) => line !== "");

/** What the system says of a process: parent, state, command line; undefined where there is none. */
function look(pid: number): { parent: number; state: string; command: string } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name in brackets may hold spaces.
    const [state = "", parent = ""] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return { parent: Number(parent), state, command: readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ") };
  } catch {
    return undefined;
  }
}

/** Whether this machine shows processes in /proc; without that, tests about them are left out. */
export const hasProc = existsSync("/proc/self/stat");

/** The processes that `pid` has started. */
export function childrenOf(pid: number): number[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((each) => Number.isInteger(each) && look(each)?.parent === pid);
}

/** Waits until these processes are gone. A dead one that nobody has asked for yet counts as gone. */
export async function gone(pids: readonly number[], limitMs = PATIENCE_MS): Promise<void> {
  const alive = (): number[] => pids.filter((pid) => !["Z", "X", undefined].includes(look(pid)?.state));
  await eventually(() => (alive().length === 0 ? true : undefined), `the end of ${pids.join(", ")}`, limitMs);
}
