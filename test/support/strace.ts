/** A running process's system calls, those of its main thread, looked at or made to fail by `strace`. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lines } from "./artel-process.ts";
import { within } from "./waiting.ts";

/** Why this system cannot do that; undefined: it can. */
export function whyNoStrace(): string | undefined {
  if (Bun.which("strace") === null) return "there is no strace";
  const { exitCode, stderr } = Bun.spawnSync(["strace", "--output", "/dev/null", process.execPath, "--version"]);
  return exitCode === 0 ? undefined : stderr.toString().trim();
}

/** One strace on one process; a disposed one has let it go. */
export class Strace implements AsyncDisposable {
  readonly #folder = mkdtempSync(join(tmpdir(), "artel-strace-"));
  readonly #child: Bun.Subprocess<"ignore", "ignore", "pipe">;

  private constructor(pid: number, args: readonly string[]) {
    const command = ["strace", "--output", this.#file, ...args, "--attach", String(pid)];
    this.#child = Bun.spawn(command, { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
  }

  /** @param args which calls, and what becomes of them, in strace's words */
  static async attach(pid: number, ...args: readonly string[]): Promise<Strace> {
    await using starting = new AsyncDisposableStack();
    const strace = starting.use(new Strace(pid, args));
    await within(strace.#attached(), "strace at work");
    starting.move();
    return strace;
  }

  /** Lets the process go. @returns what was seen, a line a call */
  async detach(): Promise<string[]> {
    this.#child.kill("SIGINT");
    await within(this.#child.exited, "the end of strace");
    return lines(readFileSync(this.#file, "utf8"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.detach();
    rmSync(this.#folder, { recursive: true });
  }

  get #file(): string {
    return join(this.#folder, "calls");
  }

  async #attached(): Promise<void> {
    let said = "";
    const decoder = new TextDecoder();
    for await (const chunk of this.#child.stderr) {
      said += decoder.decode(chunk, { stream: true });
      if (/ attached/.test(said)) return;
    }
    throw new Error(`strace: ${said}`);
  }
}
