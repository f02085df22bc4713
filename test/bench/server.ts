/** The executable under measurement: started in an empty folder, with a user and the tasks that scenarios submit. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const NOOP = `import { task, t } from "artel";
export default task({ input: t.Object({ to: t.String(), n: t.Number() }), run: () => null });`;

/** A body as scenarios submit it. */
export const INPUT = { to: "somebody@example.com", n: 42 };

export interface BenchServer extends AsyncDisposable {
  readonly port: number;
  readonly pid: number;
  readonly token: string;
  /** Milliseconds from spawning to the first 200. */
  readonly startMs: number;
  /** Starts a worker process on the server's Redis; it goes with the server. */
  work(threads: number): Bun.Subprocess;
  post(path: string, body: unknown): Promise<Response>;
  get(path: string): Promise<Response>;
}

/** @param user whether the scenario submits: with an account and the task files, as those that measure the bare start do without */
export async function startArtel(executable: string, flags: readonly string[], user = true): Promise<BenchServer> {
  const folder = mkdtempSync(join(tmpdir(), "artel-bench-"));
  mkdirSync(join(folder, "tasks"));
  writeFileSync(join(folder, "tasks", "noop.ts"), NOOP);
  const begun = performance.now();
  const child = Bun.spawn(
    [executable, "serve", "--port", "0", "--log-level", "error", ...(user ? ["--tasks", "tasks"] : []), ...flags],
    {
      cwd: folder,
      env: { HOME: folder, PATH: "/usr/bin:/bin" },
      stdout: "pipe",
      stderr: "inherit",
    },
  );
  const workers: Bun.Subprocess[] = [];
  const port = await readPort(child.stdout);
  await fetch(`http://127.0.0.1:${port}/health/live`);
  const startMs = performance.now() - begun;
  const post = (path: string, body: unknown): Promise<Response> =>
    fetch(`http://127.0.0.1:${port}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
      body: JSON.stringify(body),
    });
  let token = "";
  if (user) {
    const credentials = { email: "bench@example.com", password: "correct horse battery" };
    await post("/auth/register", credentials);
    token = ((await (await post("/auth/login", credentials)).json()) as { access_token: string }).access_token;
  }
  return {
    port,
    pid: child.pid,
    token,
    startMs,
    work(threads) {
      const own = ["--tasks", "tasks", "--threads", `${threads}`, "--log-level", "error"];
      const worker = Bun.spawn([executable, "work", ...own, ...flags.slice(flags.indexOf("--redis"))], {
        cwd: folder,
        env: { HOME: folder, PATH: "/usr/bin:/bin" },
        stdout: "ignore",
        stderr: "inherit",
      });
      workers.push(worker);
      return worker;
    },
    post,
    get: (path) => fetch(`http://127.0.0.1:${port}${path}`, { headers: { authorization: `Bearer ${token}` } }),
    async [Symbol.asyncDispose]() {
      for (const each of [...workers, child]) each.kill("SIGKILL");
      await Promise.all([...workers, child].map((each) => each.exited));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A Bun.serve that reads and writes JSON and does nothing else: the limit. */
export async function startRaw(): Promise<{ readonly port: number; [Symbol.dispose](): void }> {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "raw-server.ts")], { stdout: "pipe", stderr: "inherit" });
  return { port: await readPort(child.stdout), [Symbol.dispose]: () => child.kill("SIGKILL") };
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
