import { type Database, SQLiteError } from "bun:sqlite";
import { rmSync, statSync } from "node:fs";
import { StartupError } from "../../domain/errors.ts";
import { copyDatabase, freeName } from "./copy.ts";
import { migrations as known, type Migration } from "./migrations.ts";

export interface MigrateOptions {
  /** Last migration to apply, by tag; all by default. */
  readonly to?: string;
  /** What there is to apply; by default everything that this build knows. */
  readonly migrations?: readonly Migration[];
  /** Whether the database is copied first; by default it is. */
  readonly copy?: boolean;
}

export interface MigrateResult {
  /** Tags, in the order in which they were applied or reverted. */
  readonly tags: readonly string[];
  /** Where the database was copied to before anything changed; null if there was nothing to keep. */
  readonly copy: string | null;
}

export interface MigrationState {
  readonly tag: string;
  /** When it was generated, milliseconds since 1970 UTC. */
  readonly when: number;
  readonly applied: boolean;
}

/** The table and columns that drizzle-orm's own migrator keeps, so that either can take over from the other. */
const BOOKS = "__drizzle_migrations";

/**
 * Applies what is pending, oldest first, each migration in a transaction of its own. A database that holds something is
 * copied to `FILE.before-TAG` first, TAG being the first migration to come.
 *
 * @throws StartupError `database_corrupt`, `database_foreign`, `database_newer`, `migration_unknown`,
 *   `migration_copy_failed`, `migration_failed`; the migration that failed has left nothing behind
 */
export function migrateUp(db: Database, options: MigrateOptions = {}): MigrateResult {
  const list = options.migrations ?? known;
  const end = options.to === undefined ? list.length : position(list, options.to) + 1;
  const pending = migrationStatus(db, list).flatMap(({ applied }, index) => (applied || index >= end ? [] : (list[index] ?? [])));
  const [first] = pending;
  if (!first) return { tags: [], copy: null };

  const copy = options.copy !== false && hasContent(db) ? copyAside(db, first.tag) : null;
  return { tags: oneByOne(db, pending, apply, copy), copy };
}

/**
 * Reverts the newest `count` applied migrations, newest first, each in a transaction of its own. Data in what goes is lost, so
 * the database is copied to `FILE.before-TAG-down` first, TAG being the first migration to go.
 *
 * @throws StartupError as `migrateUp`
 */
export function migrateDown(db: Database, count = 1, options: Pick<MigrateOptions, "migrations"> = {}): MigrateResult {
  const list = options.migrations ?? known;
  const applied = migrationStatus(db, list).flatMap((state, index) => (state.applied ? (list[index] ?? []) : []));
  const reverted = applied.reverse().slice(0, count);
  const [first] = reverted;
  if (!first) return { tags: [], copy: null };
  const copy = copyAside(db, `${first.tag}-down`);
  return { tags: oneByOne(db, reverted, revert, copy), copy };
}

/** @returns the tags of what was done */
function oneByOne(
  db: Database,
  list: readonly Migration[],
  run: (db: Database, migration: Migration) => void,
  copy: string | null,
): string[] {
  const tags: string[] = [];
  try {
    withoutForeignKeys(db, () => {
      for (const migration of list) {
        run(db, migration);
        tags.push(migration.tag);
      }
    });
  } catch (error) {
    // The database is as it was, so the copy has no worth, and a service that is restarted for ever must not fill the disk.
    if (copy && tags.length === 0) rmSync(copy, { force: true });
    throw error;
  }
  return tags;
}

/**
 * Which migrations the database has, oldest first. Changes nothing.
 *
 * @throws StartupError `database_corrupt`, `database_foreign`, `database_newer`
 */
export function migrationStatus(db: Database, list: readonly Migration[] = known): MigrationState[] {
  const applied = refuseCorrupt(db.filename, () => {
    if (!hasBooks(db) && hasContent(db)) {
      throw new StartupError("database_foreign", `${db.filename} is a database, but not Artel's: choose another data directory`);
    }
    return appliedStamps(db);
  });
  const stamps = new Set(list.map(({ when }) => when));
  if ([...applied].some((when) => !stamps.has(when))) {
    throw new StartupError(
      "database_newer",
      `${db.filename} was migrated by another version of Artel, newer than this one: run that version, or restore a copy from before it`,
    );
  }
  return list.map(({ tag, when }) => ({ tag, when, applied: applied.has(when) }));
}

/** The first statements on a database are what fails on a file that is none. */
function refuseCorrupt<T>(file: string, use: () => T): T {
  try {
    return use();
  } catch (error) {
    if (error instanceof SQLiteError && /^SQLITE_(NOTADB|CORRUPT)/.test(error.code ?? "")) {
      throw new StartupError("database_corrupt", `${file} is damaged or no database: restore a backup, or move the file away`, {
        cause: error,
      });
    }
    throw error;
  }
}

function apply(db: Database, migration: Migration): void {
  step(db, migration, migration.up, () => {
    db.run(`CREATE TABLE IF NOT EXISTS ${BOOKS} (id SERIAL PRIMARY KEY, hash text NOT NULL, created_at numeric)`);
    // Another process may have been faster between the look at the status and this transaction.
    if (appliedStamps(db).has(migration.when)) return false;
    db.run(`INSERT INTO ${BOOKS} (hash, created_at) VALUES (?, ?)`, [migration.hash, migration.when]);
    return true;
  });
}

function revert(db: Database, migration: Migration): void {
  step(db, migration, migration.down, () => db.run(`DELETE FROM ${BOOKS} WHERE created_at = ?`, [migration.when]).changes > 0);
}

/** One transaction: `book` says whether the statements are still to be run. */
function step(db: Database, { tag }: Migration, statements: Iterable<string>, book: () => boolean): void {
  try {
    db.transaction(() => {
      if (!book()) return;
      for (const statement of statements) db.run(statement);
      const broken = db.query<{ table: string; parent: string }, []>("PRAGMA foreign_key_check").get();
      if (broken) throw new Error(`a row of ${broken.table} points at a row of ${broken.parent} that is not there`);
    }).immediate();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new StartupError("migration_failed", `migration ${tag} failed, its changes were undone: ${reason}`, { cause: error });
  }
}

/** Tables are rebuilt by dropping them, which must not cascade; SQLite heeds this switch only outside of transactions. */
function withoutForeignKeys(db: Database, run: () => void): void {
  const before = db.query<{ foreign_keys: number }, []>("PRAGMA foreign_keys").get()?.foreign_keys;
  db.run("PRAGMA foreign_keys = OFF");
  try {
    run();
  } finally {
    if (before === 1) db.run("PRAGMA foreign_keys = ON");
  }
}

/** Never overwrites an earlier copy. */
function copyAside(db: Database, what: string): string | null {
  const file = db.filename;
  if (file === "" || file === ":memory:") return null;
  const copy = freeName(`${file}.before-${what}`);
  try {
    refuseCorrupt(file, () => copyDatabase(db, copy, statSync(file).mode & 0o777));
    return copy;
  } catch (error) {
    if (error instanceof StartupError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new StartupError("migration_copy_failed", `cannot copy ${file} to ${copy} before migrating: ${reason}`, {
      cause: error,
    });
  }
}

/** @throws StartupError `migration_unknown` where this build has no such migration */
export function refuseUnknown(tag: string): void {
  position(known, tag);
}

function position(list: readonly Migration[], tag: string): number {
  const index = list.findIndex((migration) => migration.tag === tag);
  if (index < 0)
    throw new StartupError("migration_unknown", `there is no migration "${tag}"; the newest is ${list.at(-1)?.tag ?? "none"}`);
  return index;
}

function appliedStamps(db: Database): Set<number> {
  if (!hasBooks(db)) return new Set();
  const rows = db.query<{ stamp: number }, []>(`SELECT CAST(created_at AS INTEGER) AS stamp FROM ${BOOKS}`).all();
  return new Set(rows.map(({ stamp }) => stamp));
}

function hasBooks(db: Database): boolean {
  return db.query("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?").get(BOOKS) !== null;
}

function hasContent(db: Database): boolean {
  return (
    db
      .query("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite@_%' ESCAPE '@' AND name <> ?")
      .get(BOOKS) !== null
  );
}
