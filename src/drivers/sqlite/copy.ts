import type { Database } from "bun:sqlite";
import { chmodSync, closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync } from "node:fs";
import { dirname } from "node:path";

/** A name that nothing has yet: this one, or with a number behind it. */
export function freeName(base: string): string {
  let name = base;
  for (let n = 2; existsSync(name); n += 1) name = `${base}.${n}`;
  return name;
}

/**
 * Copies an open database into one new file, through SQLite: what stands in the WAL comes along, and whoever writes meanwhile is
 * not held up. The file has its name once it is whole and on the disk.
 *
 * @param check looks at the copy before it gets its name; what it throws leaves nothing
 */
export function copyDatabase(db: Database, file: string, mode: number, check: (copy: string) => void = () => {}): void {
  const unfinished = `${file}.unfinished`;
  try {
    rmSync(unfinished, { force: true });
    // SQLite takes an empty file for none; so nobody else may read this one at any moment.
    closeSync(openSync(unfinished, "wx", 0o600));
    db.run("VACUUM INTO ?", [unfinished]);
    chmodSync(unfinished, mode);
    check(unfinished);
    putInPlace(unfinished, file);
  } catch (error) {
    rmSync(unfinished, { force: true });
    throw error;
  }
}

/** Gives a finished file its name, in such a way that no failure of the power leaves half of it there. */
export function putInPlace(finished: string, file: string): void {
  sync(finished, "r+");
  renameSync(finished, file);
  // A folder cannot be synced everywhere; the file itself is.
  if (process.platform !== "win32") sync(dirname(file), "r");
}

function sync(path: string, flags: "r" | "r+"): void {
  const descriptor = openSync(path, flags);
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
