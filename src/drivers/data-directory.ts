import { Database } from "bun:sqlite";
import { existsSync, mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { StartupError } from "../domain/errors.ts";

/** A data directory in this process's hands alone, until it is released or the process ends. */
export interface HeldDirectory {
  readonly path: string;
  readonly databasePath: string;
  release(): void;
}

/**
 * Makes the directory where it is missing and locks it: one server a directory. The lock is SQLite's own on a file
 * beside the database, which the system drops with the process, however that ends.
 *
 * @param refuse throws where the database at this path cannot be used; asked before the lock is made where there is none
 *   yet, so that what is refused is left as it was
 * @throws StartupError `data_locked`, `data_unreadable`
 */
export function holdDataDirectory(directory: string, refuse: (databasePath: string) => void = () => {}): HeldDirectory {
  const path = resolve(directory);
  const unreadable = (cause: unknown): StartupError =>
    new StartupError(
      "data_unreadable",
      `cannot use the data directory ${path}: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    );
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    if (!statSync(path).isDirectory()) throw new Error("it is not a directory");
    const probe = join(path, `.probe-${process.pid}`);
    writeFileSync(probe, "");
    rmSync(probe);
  } catch (cause) {
    throw unreadable(cause);
  }
  const databasePath = join(path, "artel.db");
  const file = join(path, "artel.lock");
  if (!existsSync(file)) refuse(databasePath);
  const lock = lockFile(file, path, unreadable);
  try {
    refuse(databasePath);
  } catch (error) {
    lock.close();
    throw error;
  }
  return { path, databasePath, release: () => lock.close() };
}

/** Whether somebody holds a data directory at this moment. Makes nothing. */
export function isHeld(directory: string): boolean {
  const file = join(resolve(directory), "artel.lock");
  if (!existsSync(file)) return false;
  using lock = new Database(file, { readwrite: true, create: false });
  try {
    lock.run("PRAGMA busy_timeout = 0");
    // A reader's lock, for one look: it hardly ever stands in a server's way.
    lock.query("SELECT 1 FROM sqlite_master").get();
    return false;
  } catch (cause) {
    if ((cause as { code?: string }).code === "SQLITE_BUSY") return true;
    throw cause;
  }
}

function lockFile(file: string, directory: string, unreadable: (cause: unknown) => StartupError): Database {
  let lock: Database | undefined;
  try {
    lock = new Database(file, { create: true });
    lock.run("PRAGMA busy_timeout = 0");
    lock.run("PRAGMA locking_mode = EXCLUSIVE");
    lock.run("BEGIN EXCLUSIVE");
    return lock;
  } catch (cause) {
    lock?.close();
    if ((cause as { code?: string }).code !== "SQLITE_BUSY") throw unreadable(cause);
    throw new StartupError(
      "data_locked",
      `the data directory ${directory} is in use by another artel: stop that one or choose another --data`,
      { cause },
    );
  }
}
