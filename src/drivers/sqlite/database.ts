import { Database } from "bun:sqlite";
import { drizzle } from "drizzle-orm/bun-sqlite";
import { StartupError } from "../../domain/errors.ts";
import * as schema from "./schema.ts";

/** `normal`: a power loss may take the last moments of acknowledged work, a crash never; `full`: neither does. */
export type Durability = "normal" | "full";

/** Wait this long for another process's lock (a backup, a command beside the server) before an error, in milliseconds. */
const BUSY_TIMEOUT_MS = 5_000;
/** 4 KiB pages: under steady load the log is folded back after 64 MiB, so that hardly any commit waits for it; see Checkpoints. */
const CHECKPOINT_PAGES = 16_000;
const PAGE_BYTES = 4_096;
/** A log that has grown beyond this, for somebody held it, is cut back to it once it has been folded back, in bytes. */
export const LOG_BYTES = CHECKPOINT_PAGES * PAGE_BYTES;
/** Negative: KiB. Bounds what the page cache may take, whatever the database's size. */
const CACHE_KIB = -32_768;

export interface OpenedDatabase {
  readonly db: Database;
  readonly orm: ReturnType<typeof drizzle<typeof schema>>;
  close(): void;
}

/**
 * Opens (or creates) the database file in WAL mode with foreign keys on. Migrations are the caller's.
 *
 * @throws StartupError `database_corrupt` when the file is no SQLite database, `database_unreadable` when it cannot be opened
 */
export function openDatabase(path: string, options: { durability: Durability } = { durability: "normal" }): OpenedDatabase {
  const db = open(path);
  try {
    db.run(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
    db.run("PRAGMA journal_mode = WAL");
    db.run(`PRAGMA synchronous = ${options.durability === "full" ? "FULL" : "NORMAL"}`);
    db.run("PRAGMA foreign_keys = ON");
    db.run(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
    db.run(`PRAGMA journal_size_limit = ${LOG_BYTES}`);
    db.run(`PRAGMA cache_size = ${CACHE_KIB}`);
    db.run("PRAGMA temp_store = MEMORY");
  } catch (cause) {
    db.close();
    throw asStartupError(path, cause);
  }
  return { db, orm: drizzle(db, { schema }), close: () => db.close() };
}

function open(path: string): Database {
  try {
    return new Database(path, { create: true, readwrite: true, strict: true });
  } catch (cause) {
    throw asStartupError(path, cause);
  }
}

/** What opening a database throws, as the one line that is shown; a StartupError stays as it is. */
export function asStartupError(path: string, cause: unknown): StartupError {
  if (cause instanceof StartupError) return cause;
  const code = (cause as { code?: string } | null)?.code ?? "";
  const reason = cause instanceof Error ? cause.message : String(cause);
  if (/^SQLITE_(NOTADB|CORRUPT)/.test(code)) {
    return new StartupError(
      "database_corrupt",
      `${path} is not a sound SQLite database (${reason}): restore a backup or move the file away`,
      { cause },
    );
  }
  return new StartupError("database_unreadable", `cannot open ${path}: ${reason}`, { cause });
}
