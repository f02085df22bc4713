import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { StartupError } from "./domain/errors.ts";
import { holdDataDirectory } from "./drivers/data-directory.ts";
import { openDatabase } from "./drivers/sqlite/database.ts";
import { refuseUnfit } from "./drivers/sqlite/inspect.ts";
import {
  type MigrateResult,
  type MigrationState,
  migrateDown,
  migrateUp,
  migrationStatus,
  refuseUnknown,
} from "./drivers/sqlite/migrate.ts";

/** The migrations of one data directory. */
export interface Migrations extends Disposable {
  status(): readonly MigrationState[];
  /** As far as was said when it was opened. */
  up(): MigrateResult;
  down(count: number): MigrateResult;
}

/**
 * Opens a data directory for its migrations; to change it, it must be in nobody else's hands. Only `up` makes what is
 * not there.
 *
 * @param to the last migration that `up` is to apply; default: the newest
 * @throws StartupError `migration_unknown`, `data_locked`, `data_unreadable`, `no_database`, `database_corrupt`, `database_unreadable`
 */
export function openMigrations(directory: string, action: "status" | "up" | "down", to?: string): Migrations {
  // Before anything is made.
  if (action === "up" && to !== undefined) refuseUnknown(to);
  const file = join(resolve(directory), "artel.db");
  if (action !== "up" && !existsSync(file))
    throw new StartupError("no_database", `there is no ${file}: artel serve or artel migrate up makes one`);
  if (action === "status") refuseUnfit(file);
  const held = action === "status" ? undefined : holdDataDirectory(directory, refuseUnfit);
  try {
    const { db, close } = openDatabase(file);
    return {
      status: () => migrationStatus(db),
      up: () => migrateUp(db, to === undefined ? {} : { to }),
      down: (count) => migrateDown(db, count),
      [Symbol.dispose]() {
        close();
        held?.release();
      },
    };
  } catch (error) {
    held?.release();
    throw error;
  }
}
