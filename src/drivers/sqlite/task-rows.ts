import { STATUSES, type Status } from "../../domain/task.ts";
import type { Lane, StoredTask } from "../../ports/tasks.ts";

/** A row of `tasks` as SQLite gives it; the columns of COLUMNS. */
export interface TaskRow {
  n: number;
  id: string;
  owner: number;
  lane: number;
  status: number;
  seq: number;
  attempt: number;
  max_attempts: number;
  fence: number;
  dispatched: number;
  deaths: number;
  cancel_requested: number;
  progress: number | null;
  message: string | null;
  error_code: string | null;
  error_message: string | null;
  created_at: number;
  run_at: number;
  started_at: number | null;
  finished_at: number | null;
  /** The key of the workflow that it is a member of. */
  workflow: number | null;
}

export interface BodyRow extends TaskRow {
  args: string;
  result: string | null;
}

/** Everything but the bodies, which can be large. */
export const COLUMNS =
  "n, id, owner, lane, status, seq, attempt, max_attempts, fence, dispatched, deaths, cancel_requested, " +
  "progress, message, error_code, error_message, created_at, run_at, started_at, finished_at, " +
  "(SELECT workflow FROM workflow_tasks WHERE task = tasks.n) AS workflow";
export const BODY_COLUMNS = `${COLUMNS}, args, result`;

export const statusCode = (status: Status): number => STATUSES.indexOf(status);

const TERMINAL: readonly Status[] = ["done", "failed", "cancelled"];
export const TERMINAL_CODES: readonly number[] = TERMINAL.map(statusCode);

/** Statuses that the partial index `tasks_status` holds. */
export const INDEXED_CODES: readonly number[] = STATUSES.flatMap((status, code) =>
  status === "queued" || status === "done" ? [] : [code],
);

/** SQLite uses a partial index only where its condition stands in the query to the letter. */
export const inStatusIndex = (code: number): string => `status IN (${INDEXED_CODES.join(", ")}) AND status = ${code}`;

export function toTask(
  row: TaskRow,
  { queue, name, priority }: Lane,
  { ownerId, workflow }: Pick<StoredTask, "ownerId" | "workflow">,
): StoredTask {
  return {
    n: row.n,
    id: row.id,
    owner: row.owner,
    ownerId,
    workflow,
    name,
    queue,
    priority,
    status: STATUSES[row.status] as Status,
    seq: row.seq,
    attempt: row.attempt,
    maxAttempts: row.max_attempts,
    fence: row.fence,
    dispatched: row.dispatched === 1,
    deaths: row.deaths,
    cancelRequested: row.cancel_requested === 1,
    progress: row.progress,
    message: row.message,
    error: row.error_code === null ? null : { code: row.error_code, message: row.error_message ?? "" },
    createdAt: row.created_at,
    runAt: row.run_at,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
  };
}
