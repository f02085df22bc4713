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
  const purged = new Set<number>();
  let [count, highestSeq] = [0, 0];
  for (const { n, seq, workflow } of ended) {
    if (workflow !== null && purged.has(workflow)) continue;
    const gone = workflow === null ? removeTask(sql, n, seq) : removeWorkflow(sql, workflow);
    if (workflow !== null) purged.add(workflow);
    count += gone.rows;
    highestSeq = Math.max(highestSeq, gone.highestSeq);
  }
  if (ended.length === limit) return { rows: count, next: ended.at(-1)?.n ?? null, highestSeq };
  return { rows: count, next: oldest.length === SCAN_ROWS ? (oldest.at(-1)?.n ?? null) : null, highestSeq };
}

/** A member may still be waited for, and be retried with the others, for as long as its workflow goes on. */
function isOver(row: Row, finishedBefore: number): boolean {
  const endedAt = row.workflow === null ? row.finished_at : row.workflow_finished_at;
  return TERMINAL_CODES.includes(row.status) && endedAt !== null && endedAt < finishedBefore;
}

type Gone = Pick<Purged, "rows" | "highestSeq">;

function removeTask(sql: Prepared, n: number, seq: number): Gone {
  sql("DELETE FROM tasks WHERE n = ?").run(n);
  return { rows: 1, highestSeq: seq };
}

/** With all of its tasks, however many: what is left of one could be neither shown nor retried. */
function removeWorkflow(sql: Prepared, workflow: number): Gone {
  const tasks = sql<{ seq: number }>(
    "DELETE FROM tasks WHERE n IN (SELECT task FROM workflow_tasks WHERE workflow = ?) RETURNING seq",
  ).all(workflow);
  const gone = sql<{ seq: number }>("DELETE FROM workflows WHERE n = ? RETURNING seq").all(workflow);
  return { rows: tasks.length, highestSeq: [...tasks, ...gone].reduce((highest, { seq }) => Math.max(highest, seq), 0) };
}
