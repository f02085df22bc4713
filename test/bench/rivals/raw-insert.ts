/**
 * Rows into SQLite and nothing else: `bun raw-insert.ts ROWS`. Prints rows a second as JSON, in transactions of a batch's and of
 * a busy turn's size: into Artel's own table with its indexes, and into a table of two columns.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openDatabase } from "../../../src/drivers/sqlite/database.ts";
import { migrateUp } from "../../../src/drivers/sqlite/migrate.ts";
import { TaskIds } from "../../../src/drivers/sqlite/task-ids.ts";

const ROWS = Number(process.argv[2] ?? 100_000);
const BODY = '{"to":"somebody@example.com","n":42}';

const folder = mkdtempSync(join(tmpdir(), "artel-raw-"));
try {
  const { db, close } = openDatabase(join(folder, "raw.db"));
  migrateUp(db);
  db.run("INSERT INTO accounts (n, id, email, password_hash, role, created_at) VALUES (1, 'a', 'a', 'x', 'user', 0)");
  db.run("INSERT INTO lanes (n, owner, queue, name, priority) VALUES (1, 1, 'default', 'noop', 1)");
  db.run("CREATE TABLE bare (n INTEGER PRIMARY KEY, body TEXT)");
  const ids = new TaskIds(0);
  const task = db.prepare(
    `INSERT INTO tasks (n, id, owner, lane, status, seq, attempt, max_attempts, fence, dispatched, deaths, cancel_requested,
       created_at, run_at, args) VALUES (?,?,1,1,1,?,1,3,1,1,0,0,?,?,?)`,
  );
  const bare = db.prepare("INSERT INTO bare (body) VALUES (?)");
  let n = Date.now() * 1_024;
  const insertTask = (): void => {
    n += 1;
    const now = Date.now();
    task.run(n, ids.next(now), n, now, now, BODY);
  };
  const insertBare = (): void => void bare.run(BODY);
  const begin = db.prepare("BEGIN IMMEDIATE");
  const commit = db.prepare("COMMIT");
  const rowsPerSecond = (insert: () => void, rows: number): number => {
    const begun = performance.now();
    for (let done = 0; done < ROWS; done += rows) {
      begin.run();
      for (let i = 0; i < rows; i += 1) insert();
      commit.run();
    }
    return (ROWS / (performance.now() - begun)) * 1_000;
  };
  rowsPerSecond(insertTask, 1_000);
  console.log(
    JSON.stringify({
      tasksBatch: rowsPerSecond(insertTask, 1_000),
      tasksTurn: rowsPerSecond(insertTask, 32),
      bareBatch: rowsPerSecond(insertBare, 1_000),
    }),
  );
  close();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
