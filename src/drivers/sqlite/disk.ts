import { type Stats, statSync } from "node:fs";
import { Unavailable } from "../../domain/errors.ts";
import type { Log } from "../../ports/runtime.ts";
import { asStorageError, storageError } from "./storage-error.ts";

/** The disk under the database: what is wrong with it. The log is told once when that begins, and once when it is over. */
export class Disk {
  readonly #files: readonly (readonly [path: string, inode: number])[];
  readonly #log: Pick<Log, "error" | "info"> | undefined;
  #trouble: string | undefined;

  /** @param file the open database's; none, or one in memory, is never looked for */
  constructor(file = "", log?: Pick<Log, "error" | "info">) {
    this.#files = [file, `${file}-wal`].flatMap((path) => {
      const inode = inodeOf(path);
      return inode === undefined ? [] : [[path, inode] as const];
    });
    this.#log = log;
  }

  /** Why nothing could be stored the last time; undefined: it could. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /** Runs what stores something. @throws Unavailable `storage_unavailable` for the disk's trouble; other errors as they are */
  store<T>(work: () => T): T {
    try {
      this.#expectInPlace();
      const value = work();
      this.#passed();
      return value;
    } catch (error) {
      const told = asStorageError(error);
      // What the work itself throws says nothing of the disk.
      if (told instanceof Unavailable) this.#failed(told);
      throw told;
    }
  }

  /** What is written to a file that was removed or replaced, nobody finds again: only this process still has it. */
  #expectInPlace(): void {
    for (const [path, inode] of this.#files) {
      if (inodeOf(path) !== inode)
        throw storageError(new Error(`${path} was moved, removed or replaced: put it back, or start again on another`));
    }
  }

  #failed({ cause }: Unavailable): void {
    const trouble = cause instanceof Error ? cause.message : String(cause);
    if (this.#trouble === undefined) this.#log?.error("nothing can be stored", { error: trouble });
    this.#trouble = trouble;
  }

  #passed(): void {
    if (this.#trouble !== undefined) this.#log?.info("everything can be stored again");
    this.#trouble = undefined;
  }
}

const inodeOf = (path: string): number | undefined => statOf(path)?.ino;

/** Undefined: it is not there, or the disk does not say. */
export function statOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}
