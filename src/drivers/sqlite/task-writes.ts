import type { Database } from "bun:sqlite";
import type { Task } from "../../domain/task.ts";
import type { StoredTask } from "../../ports/tasks.ts";
import { type PendingWrites, pendingOn, type WriteKind } from "./pending-writes.ts";
import { statusCode } from "./task-rows.ts";

/**
 * How rows of tasks are made and changed, many in a statement. SQLite renews every index that a SET list names, so the steps
 * that every task takes name no more than they change.
 */
export class TaskWrites {
  readonly #pending: PendingWrites;

  constructor(db: Database) {
    this.#pending = pendingOn(db);
  }

  insert(n: number, task: Task, lane: number, seq: number, idempotencyKey: string | null, args: string): void {
    this.#pending.add(INSERT, n, [
      n,
      task.id,
      task.owner,
      lane,
      statusCode(task.status),
      seq,
      task.attempt,
      task.maxAttempts,
      task.fence,
      task.dispatched ? 1 : 0,
      task.deaths,
      task.cancelRequested ? 1 : 0,
      task.createdAt,
      task.runAt,
      idempotencyKey,
      args,
    ]);
  }

  /** Into the window. */
  dispatch({ n, fence, dispatched }: StoredTask): void {
    this.#pending.add(DISPATCH, n, [n, fence, dispatched ? 1 : 0]);
  }

  start({ n, seq, startedAt }: StoredTask): void {
    this.#pending.add(START, n, [n, seq, startedAt]);
  }

  complete({ n, status, seq, progress, message, startedAt, finishedAt }: StoredTask, result: string): void {
    this.#pending.add(COMPLETE, n, [n, statusCode(status), seq, progress, message, startedAt, finishedAt, result]);
  }

  update(task: StoredTask): void {
    this.#pending.add(UPDATE, task.n, [
      task.n,
      statusCode(task.status),
      task.seq,
      task.attempt,
      task.fence,
      task.dispatched ? 1 : 0,
      task.deaths,
      task.cancelRequested ? 1 : 0,
      task.progress,
      task.message,
      task.error?.code ?? null,
      task.error?.message ?? null,
      task.runAt,
      task.startedAt,
      task.finishedAt,
    ]);
  }

  /** Of an attempt, while it runs. */
  progress({ n, progress, message, fence }: StoredTask): void {
    this.#pending.add(PROGRESS, n, [n, progress, message, fence]);
  }
}

const INSERT = insertInto([
  "n",
  "id",
  "owner",
  "lane",
  "status",
  "seq",
  "attempt",
  "max_attempts",
  "fence",
  "dispatched",
  "deaths",
  "cancel_requested",
  "created_at",
  "run_at",
  "idempotency_key",
  "args",
]);
const DISPATCH = update(["fence", "dispatched"]);
const START = update(["seq", "started_at"], ", status = 2, progress = NULL, message = NULL");
const COMPLETE = update(
  ["status", "seq", "progress", "message", "started_at", "finished_at", "result"],
  ", dispatched = 0, error_code = NULL, error_message = NULL",
);
const UPDATE = update([
  "status",
  "seq",
  "attempt",
  "fence",
  "dispatched",
  "deaths",
  "cancel_requested",
  "progress",
  "message",
  "error_code",
  "error_message",
  "run_at",
  "started_at",
  "finished_at",
]);
const PROGRESS: WriteKind = {
  ...update(["progress", "message"], "", " AND tasks.fence = new.column4 AND tasks.status = 2"),
  parameters: 4,
};

function insertInto(columns: readonly string[]): WriteKind {
  return {
    parameters: columns.length,
    text: (tuples) => `INSERT INTO tasks (${columns.join(", ")}) VALUES ${tuples}`,
  };
}

/** The first parameter is the row's key, the columns' values follow it. */
function update(columns: readonly string[], more = "", where = ""): WriteKind {
  const set = columns.map((column, i) => `${column} = new.column${i + 2}`).join(", ");
  return {
    parameters: columns.length + 1,
    text: (tuples) => `UPDATE tasks SET ${set}${more} FROM (VALUES ${tuples}) AS new WHERE tasks.n = new.column1${where}`,
  };
}
