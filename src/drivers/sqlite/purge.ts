import type { Prepared } from "./prepared.ts";
import { TERMINAL_CODES } from "./task-rows.ts";

/** A step of purging looks at no more than this many of the oldest rows. */
const SCAN_ROWS = 2_000;

interface Row {
  n: number;
  seq: number;
  status: number;
  created_at: number;
  finished_at: number | null;
  workflow: number | null;
  workflow_finished_at: number | null;
}

interface Purged {
  readonly rows: number;
  /** Where to look on; null: nothing older is left. */
  readonly next: number | null;
  /** Of what was removed; 0: nothing was. */
  readonly highestSeq: number;
}

/** Removes the oldest tasks and workflows that ended before a time; see the port TaskStore. */
export function purgeRows(sql: Prepared, finishedBefore: number, after: number, limit: number): Purged {
  const rows = sql<Row>(
    `SELECT t.n, t.seq, t.status, t.created_at, t.finished_at, w.n AS workflow, w.finished_at AS workflow_finished_at FROM tasks t
       LEFT JOIN workflow_tasks m ON m.task = t.n LEFT JOIN workflows w ON w.n = m.workflow WHERE t.n > ? ORDER BY t.n LIMIT ?`,
  ).all(after, SCAN_ROWS);
  // What was accepted later cannot have ended before; what lives on is stepped over.
  const oldest = rows.filter((row) => row.created_at < finishedBefore);
  const ended = oldest.filter((row) => isOver(row, finishedBefore)).slice(0, limit);
  let highestSeq = 0;
  for (const { n, seq, workflow } of ended) {
    sql("DELETE FROM tasks WHERE n = ?").run(n);
    highestSeq = Math.max(highestSeq, seq, workflow === null ? 0 : removeIfEmpty(sql, workflow));
  }
  if (ended.length === limit) return { rows: limit, next: ended.at(-1)?.n ?? null, highestSeq };
  return { rows: ended.length, next: oldest.length === SCAN_ROWS ? (oldest.at(-1)?.n ?? null) : null, highestSeq };
}

/** A member may still be waited for, and be retried with the others, for as long as its workflow goes on. */
function isOver(row: Row, finishedBefore: number): boolean {
  const endedAt = row.workflow === null ? row.finished_at : row.workflow_finished_at;
  return TERMINAL_CODES.includes(row.status) && endedAt !== null && endedAt < finishedBefore;
}

/** @returns the seq of the workflow that went; 0: it still has members */
function removeIfEmpty(sql: Prepared, workflow: number): number {
  const gone = sql<{ seq: number }>(
    "DELETE FROM workflows WHERE n = ? AND NOT EXISTS (SELECT 1 FROM workflow_tasks WHERE workflow = ?) RETURNING seq",
  ).get(workflow, workflow);
  return gone?.seq ?? 0;
}
