/** Small disks of a test's own, to be filled up. */
import { mkdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** What mounted disks are called: this, the pid of the test's process, a number. */
const NAME = "artel-disk";
const KIB = 1024;
/** Room is taken in pieces of this size at first, in bytes. */
const PIECE = 256 * KIB;
/** A page of memory, the least that a tmpfs gives. */
const PAGE = 4 * KIB;
let count = 0;

/** Runs a program. @throws with what it says */
function run(...command: readonly string[]): void {
  const { exitCode, stderr } = Bun.spawnSync([...command]);
  if (exitCode !== 0) throw new Error(`${command.join(" ")}: ${stderr.toString().trim()}`);
}

/** A disk in memory (tmpfs) at a path of the test's choice; a disposed one is gone with all that was on it. */
export class SmallDisk implements Disposable {
  readonly path: string;
  #pieces = 0;

  private constructor(path: string) {
    this.path = path;
  }

  /** @throws where this system has no such thing, or does not allow it */
  static mount(path: string, sizeKib: number): SmallDisk {
    count += 1;
    mkdirSync(path, { recursive: true });
    run("mount", "-t", "tmpfs", "-o", `size=${sizeKib}k,mode=700`, `${NAME}-${process.pid}-${count}`, path);
    return new SmallDisk(path);
  }

  /** Takes all the room that is left. */
  fill(): void {
    for (let size = PIECE; size >= PAGE; ) {
      this.#pieces += 1;
      try {
        writeFileSync(this.#piece(this.#pieces), Buffer.alloc(size));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
        size /= 2;
      }
    }
  }

  /** Gives back what `fill` took. */
  free(): void {
    for (; this.#pieces > 0; this.#pieces -= 1) rmSync(this.#piece(this.#pieces), { force: true });
  }

  [Symbol.dispose](): void {
    // Processes may still have files open there: they keep them until they end.
    run("umount", "--lazy", this.path);
  }

  #piece(number: number): string {
    return join(this.path, `ballast-${number}`);
  }
}

/** What tests have left that were killed. */
function unmountLeftovers(): void {
  const mounts = readFileSync("/proc/mounts", "utf8");
  for (const [, pid = "", path = ""] of mounts.matchAll(new RegExp(`^${NAME}-(\\d+)-\\d+ (\\S+)`, "gm"))) {
    if (!isRunning(Number(pid))) run("umount", "--lazy", path);
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Why this system has no small disks; undefined: it has. */
export function whyNoDisks(): string | undefined {
  const path = join(tmpdir(), `${NAME}-${process.pid}`);
  try {
    unmountLeftovers();
    SmallDisk.mount(path, PAGE / KIB)[Symbol.dispose]();
    rmdirSync(path);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
