import { chmodSync, copyFileSync, existsSync, linkSync, renameSync, rmSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { ArtelError, StartupError } from "./domain/errors.ts";
import { type HeldDirectory, holdDataDirectory } from "./drivers/data-directory.ts";
import { hasSecret } from "./drivers/secret.ts";
import { beginAnotherLife } from "./drivers/sqlite/another-life.ts";
import { copyDatabase, freeName, putInPlace } from "./drivers/sqlite/copy.ts";
import { asStartupError, openDatabase } from "./drivers/sqlite/database.ts";
import { damageOf, openAsItIs, refuseUnfit } from "./drivers/sqlite/inspect.ts";
import { migrateUp, migrationStatus } from "./drivers/sqlite/migrate.ts";
import { systemClock, systemRandom } from "./drivers/system.ts";
import { removeFlights } from "./workers/flight.ts";

/** Of the database and of backups: nobody but their owner has any business in them. */
const MODE = 0o600;

/**
 * Writes the database as it is at this moment into one new file, also beside a server, which goes on meanwhile.
 *
 * @returns its size in bytes
 * @throws StartupError `no_database`, `backup_exists`, `backup_failed`, `database_corrupt`, `database_newer`, …
 */
export function backUp(directory: string, file: string): number {
  const database = databaseOf(directory);
  if (!existsSync(database)) throw new StartupError("no_database", `there is no ${database} to back up`);
  const target = resolve(file);
  if (existsSync(target)) throw new StartupError("backup_exists", `${target} is there already: choose another name`);
  refuseUnfit(database);
  try {
    using db = openAsItIs(database);
    copyDatabase(db, target, MODE, (copy) => refuseUnsound(copy, database));
    return statSync(target).size;
  } catch (cause) {
    throw asFailure(cause, "backup_failed", `cannot write ${target}`);
  }
}

export interface Restored {
  readonly unfinished: number;
  /** Where the database is now that was there before; null: there was none. */
  readonly replaced: string | null;
  /** Whether there is a signing secret in the data directory. */
  readonly secret: boolean;
}

/**
 * Puts a backup in the place of a data directory's database, which is kept beside it. The backup is looked at first, and brought
 * up to this version's migrations.
 *
 * @throws StartupError `no_backup`, `backup_open`, `data_locked`, `restore_failed`, `database_corrupt`, `database_newer`, …; all is
 *   as it was
 */
export function restore(directory: string, file: string): Restored {
  const backup = resolve(file);
  if (!statSync(backup, { throwIfNoEntry: false })?.isFile())
    throw new StartupError("no_backup", `there is no file ${backup} to restore`);
  if (existsSync(`${backup}-wal`))
    throw new StartupError("backup_open", `${backup} is in use, or was not closed: make a backup of it by artel backup`);
  const held = holdDataDirectory(directory);
  try {
    return replace(held, backup);
  } finally {
    held.release();
  }
}

function replace({ path, databasePath }: HeldDirectory, backup: string): Restored {
  const arriving = `${databasePath}.arriving`;
  try {
    removeDatabase(arriving);
    copyFileSync(backup, arriving);
    chmodSync(arriving, MODE);
    refuseUnsound(arriving, backup);
    const unfinished = prepare(arriving);
    const replaced = setAside(databasePath);
    putInPlace(arriving, databasePath);
    // They tell of the life that ends here.
    removeFlights(path);
    return { unfinished, replaced, secret: hasSecret(path) };
  } catch (cause) {
    removeDatabase(arriving);
    throw asFailure(cause, "restore_failed", `cannot restore ${backup}`);
  }
}

/** @returns how many of its tasks have not ended */
function prepare(path: string): number {
  const { db, close } = openDatabase(path, { durability: "full" });
  try {
    migrateUp(db, { copy: false });
    const unfinished = beginAnotherLife(db, { epoch: systemRandom.uuid(), now: systemClock.now() });
    // Folds the write-ahead log back and removes it: this file is about to get another name.
    db.run("PRAGMA journal_mode = DELETE");
    return unfinished;
  } finally {
    close();
  }
}

/** What stands in its write-ahead log goes with it, or SQLite would put that into whatever comes in its place. */
function setAside(database: string): string | null {
  if (!existsSync(database)) return null;
  const aside = freeName(`${database}.before-restore`);
  try {
    // A second name at first: at no moment is there no database, which a server would take for its first start.
    linkSync(database, aside);
  } catch {
    renameSync(database, aside);
  }
  if (existsSync(`${database}-wal`)) renameSync(`${database}-wal`, `${aside}-wal`);
  rmSync(`${database}-shm`, { force: true });
  return aside;
}

function removeDatabase(path: string): void {
  for (const part of ["", "-wal", "-shm", "-journal"]) rmSync(path + part, { force: true });
}

/** @param copy what is looked at; `original` is what errors name */
function refuseUnsound(copy: string, original: string): void {
  try {
    using db = openAsItIs(copy);
    if (!migrationStatus(db).some(({ applied }) => applied))
      throw new StartupError("database_foreign", `${copy} is no database of Artel's`);
    const damage = damageOf(db);
    if (damage !== undefined) throw new StartupError("database_corrupt", `${copy} is damaged: ${damage}`);
  } catch (cause) {
    const { code, message } = asStartupError(copy, cause);
    throw new StartupError(code, message.replaceAll(copy, original), { cause });
  }
}

/** An error that speaks for itself stays. */
function asFailure(cause: unknown, code: string, what: string): ArtelError {
  if (cause instanceof ArtelError) return cause;
  return new StartupError(code, `${what}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
}

const databaseOf = (directory: string): string => join(resolve(directory), "artel.db");
