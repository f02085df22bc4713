/**
 * Reads the migrations from the drizzle folder. migrations.ts calls it as a macro: Bun runs it while it bundles or
 * transpiles that file and puts what it returns into the code, so the executable carries the SQL and needs no folder.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** One migration; `up` and `down` are its statements in the order in which they run. */
export interface Migration {
  /** `NNNN_name`, the name of its files. */
  readonly tag: string;
  /** When it was generated, milliseconds since 1970 UTC; also its key in the bookkeeping table. */
  readonly when: number;
  readonly up: readonly string[];
  readonly down: readonly string[];
  /** SHA-256 of the .sql file in hex, as drizzle-orm computes it. */
  readonly hash: string;
}

export function readMigrations(): Migration[] {
  const folder = join(import.meta.dir, "../../../drizzle");
  const read = (name: string) => readFileSync(join(folder, name), "utf8");
  const statements = (sql: string) =>
    sql
      .split("--> statement-breakpoint")
      .map((statement) => statement.trim())
      .filter((statement) => statement !== "");

  const { entries } = JSON.parse(read("meta/_journal.json")) as { entries: { tag: string; when: number }[] };
  return entries.map(({ tag, when }) => {
    const sql = read(`${tag}.sql`);
    const hash = createHash("sha256").update(sql).digest("hex");
    return { tag, when, up: statements(sql), down: statements(read(`${tag}.down.sql`)), hash };
  });
}
