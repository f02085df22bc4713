import { NEVER } from "../domain/task.ts";
import type { StoredTask, TaskWithBody } from "../ports/tasks.ts";

/**
 * Tasks as JSON text. Args and results are kept as JSON text, so they are put in as they are: reading them only to
 * write them again would be most of the work.
 */

/** The task without args and result, as lists show it. */
export function taskSummaryJson(task: StoredTask): string {
  return `{${head(task)},${tail(task)}}`;
}

/** @param waiting why it waits for longer than its turn; undefined: it does not */
export function taskJson(task: TaskWithBody, waiting?: string): string {
  const why = waiting === undefined ? "" : `,"waiting":${JSON.stringify(waiting)}`;
  return `{${head(task)},"args":${task.args},"result":${task.result ?? "null"},${tail(task)}${why}}`;
}

/** Results larger than this are left out of notices, in bytes. */
export const NOTICE_RESULT_BYTES = 65_536;

/** A notice of a task, as sockets get it; `result` is JSON text. */
export function noticeJson(task: StoredTask, result: string | null, truncated: boolean, at: number): string {
  const outcome = truncated ? `"result":null,"truncated":true` : `"result":${result ?? "null"}`;
  return (
    `{"type":"task","seq":${task.seq},"task_id":"${task.id}","owner_id":"${task.ownerId}","name":${JSON.stringify(task.name)},` +
    `"status":"${task.status}","progress":${task.progress},"message":${JSON.stringify(task.message)},"attempt":${task.attempt},` +
    `${outcome},"error":${JSON.stringify(task.error)},"at":"${iso(at)}"${membership(task)}}`
  );
}

export const tooLargeForNotice = (result: string | null): boolean =>
  result !== null &&
  (result.length > NOTICE_RESULT_BYTES ||
    (result.length * 3 > NOTICE_RESULT_BYTES && Buffer.byteLength(result) > NOTICE_RESULT_BYTES));

function head(task: StoredTask): string {
  return (
    `"task_id":"${task.id}","owner_id":"${task.ownerId}","name":${JSON.stringify(task.name)},"queue":${JSON.stringify(task.queue)},` +
    `"priority":"${task.priority}","status":"${task.status}"`
  );
}

function tail(task: StoredTask): string {
  return (
    `"progress":${task.progress},"message":${JSON.stringify(task.message)},"error":${JSON.stringify(task.error)},` +
    `"attempt":${task.attempt},"max_attempts":${task.maxAttempts},"cancel_requested":${task.cancelRequested},` +
    `"created_at":"${iso(task.createdAt)}","run_at":${time(task.runAt === NEVER ? null : task.runAt)},"started_at":${time(task.startedAt)},` +
    `"finished_at":${time(task.finishedAt)},"seq":${task.seq}${membership(task)}`
  );
}

const membership = ({ workflow }: StoredTask): string => (workflow === null ? "" : `,"workflow_id":"${workflow}"`);

/** Null: it has not come, and may never come. */
export const time = (at: number | null): string => (at === null ? "null" : `"${iso(at)}"`);

let lastAt = Number.NaN;
let lastText = "";

/** RFC 3339 UTC with milliseconds. Neighbours mostly ask for the same millisecond. */
export function iso(at: number): string {
  if (at !== lastAt) {
    lastAt = at;
    lastText = new Date(at).toISOString();
  }
  return lastText;
}
