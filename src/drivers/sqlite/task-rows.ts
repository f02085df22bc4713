import { PRIORITIES, STATUSES, type Status } from "../../domain/task.ts";
import type { StoredTask, TaskWithBody } from "../../ports/tasks.ts";

/** A row of `tasks` as SQLite gives it; the columns of COLUMNS. */
export interface TaskRow {
  n: number;
  id: string;
  owner: number;
  name: string;
  queue: string;
  priority: number;
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
}

export interface BodyRow extends TaskRow {
  args: string;
  result: string | null;
}

/** Everything but the bodies, which can be large. */
export const COLUMNS =
  "n, id, owner, name, queue, priority, status, seq, attempt, max_attempts, fence, dispatched, deaths, cancel_requested, " +
  "progress, message, error_code, error_message, created_at, run_at, started_at, finished_at";
export const BODY_COLUMNS = `${COLUMNS}, args, result`;

export const statusCode = (status: Status): number => STATUSES.indexOf(status);

export const ACTIVE_CODES = STATUSES.flatMap((status, code) => (status === "done" || status === "failed" || status === "cancelled" ? [] : [code]));
export const TERMINAL_CODES = STATUSES.map((_, code) => code).filter((code) => !ACTIVE_CODES.includes(code));

export function toTask(row: TaskRow, ownerId: string): StoredTask {
  return {
    n: row.n,
    id: row.id,
    owner: row.owner,
    ownerId,
    name: row.name,
    queue: row.queue,
    priority: PRIORITIES[row.priority] ?? "normal",
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

export function toTaskWithBody(row: BodyRow, ownerId: string): TaskWithBody {
  return { ...toTask(row, ownerId), args: row.args, result: row.result };
}
