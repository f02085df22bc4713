import { Database } from "bun:sqlite";
import { existsSync, statSync } from "node:fs";
import { asStartupError } from "./database.ts";
import { MetaRows } from "./meta-rows.ts";
import { migrationStatus } from "./migrate.ts";

/** Opens a database without making it one for use: that would turn on its WAL mode, which changes a stranger's file. */
export function openAsItIs(path: string): Database {
  const db = new Database(path, { readwrite: true, create: false, strict: true });
  db.run("PRAGMA busy_timeout = 5000");
  return db;
}

/**
 * Looks at a database file as it is. No file, or an empty one, is fine.
 *
 * @throws StartupError `database_corrupt`, `database_foreign`, `database_newer`, `database_unreadable`
 */
export function refuseUnfit(path: string): void {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined || (stat.isFile() && stat.size === 0)) return;
  let db: Database | undefined;
  try {
    db = openAsItIs(path);
    migrationStatus(db);
  } catch (cause) {
    throw asStartupError(path, cause);
  } finally {
    db?.close();
  }
}

/**
 * Which data directory a database file is of.
 *
 * @returns null: of none yet; undefined: that cannot be read, and whoever opens it for use says why
 */
export function directoryOf(path: string): string | null | undefined {
  if (!existsSync(path)) return null;
  try {
    using db = openAsItIs(path);
    return new MetaRows((text) => db.query(text)).get("directory") ?? null;
  } catch {
    return undefined;
  }
}

/**
 * Looks at every page of a database, and at every reference between its rows.
 *
 * @returns what is wrong with it; undefined: nothing
 * @throws SQLiteError where it cannot even be read
 */
export function damageOf(db: Database): string | undefined {
  const found = db.query<{ integrity_check: string }, []>("PRAGMA integrity_check(1)").get()?.integrity_check;
  if (found !== "ok") return found?.replaceAll("\n", " ") ?? "it cannot be checked";
  const broken = db.query<{ table: string; parent: string }, []>("PRAGMA foreign_key_check").get();
  return broken ? `a row of ${broken.table} points at a row of ${broken.parent} that is not there` : undefined;
}
