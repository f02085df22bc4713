import { Database } from "bun:sqlite";
import { existsSync, statSync } from "node:fs";
import { asStartupError } from "./database.ts";
import { MetaRows } from "./meta-rows.ts";
import { migrationStatus } from "./migrate.ts";

/**
 * Looks at a database file as it is: opening it for use would turn on its WAL mode, which changes a stranger's file.
 * No file, or an empty one, is fine.
 *
 * @throws StartupError `database_corrupt`, `database_foreign`, `database_newer`, `database_unreadable`
 */
export function refuseUnfit(path: string): void {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined || (stat.isFile() && stat.size === 0)) return;
  let db: Database | undefined;
  try {
    db = new Database(path, { readwrite: true, create: false, strict: true });
    db.run("PRAGMA busy_timeout = 5000");
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
    using db = new Database(path, { readwrite: true, create: false, strict: true });
    db.run("PRAGMA busy_timeout = 5000");
    return new MetaRows((text) => db.query(text)).get("directory") ?? null;
  } catch {
    return undefined;
  }
}
