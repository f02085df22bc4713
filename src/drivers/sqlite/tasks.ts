import type { Database } from "bun:sqlite";
import type { Task } from "../../domain/task.ts";
import type { LogLine, Offset } from "../../ports/broker.ts";
import type {
  ChangedTask,
  ChangeQuery,
  Lane,
  LaneCount,
  Page,
  PageQuery,
  StoredTask,
  TaskStore,
  TaskWithBody,
} from "../../ports/tasks.ts";
import { LaneRows } from "./lane-rows.ts";
import { readPage } from "./pages.ts";
import { type Prepared, preparedOn } from "./prepared.ts";
import { keyOfId, TaskIds } from "./task-ids.ts";
import {
  BODY_COLUMNS,
  type BodyRow,
  COLUMNS,
  inStatusIndex,
  statusCode,
  type TaskRow,
  TERMINAL_CODES,
  toTask,
} from "./task-rows.ts";

/** A step of purging looks at no more than this many of the oldest rows. */
const PURGE_SCAN = 2_000;
/** Seqs are taken from the database in blocks, so that a start needs no look at the rows; a crash leaves a gap. */
const SEQ_BLOCK = 10_000;

/**
 * Tasks on bun:sqlite with prepared statements: these run for every task, where a query builder's share would show.
 * Rows that the broker holds are kept in memory as well, so that recording an outcome needs no read.
 */
export class SqliteTasks implements TaskStore {
  readonly epoch: string;
  readonly #sql: Prepared;
  readonly #lanes: LaneRows;
  readonly #ids: TaskIds;
  /** Dispatched tasks by id: as many as the window holds. */
  readonly #live = new Map<string, StoredTask>();
  readonly #ownerIds = new Map<number, string>();
  #seq: number;
  /** The last seq of the block that this process has taken. */
  #seqLimit: number;
  #purgedSeq: number;

  constructor(db: Database, newEpoch: () => string) {
    this.#sql = preparedOn(db);
    this.#lanes = new LaneRows(this.#sql);
    this.epoch = this.#meta("epoch") ?? this.#setMeta("epoch", newEpoch());
    this.#purgedSeq = Number(this.#meta("purged_seq") ?? 0);
    this.#seq = Number(this.#meta("seq_limit") ?? 0);
    this.#seqLimit = this.#seq;
    this.#ids = new TaskIds(this.#sql<{ n: number | null }>("SELECT max(n) AS n FROM tasks").get()?.n ?? 0);
  }

  /** A transaction was rolled back: what memory says may never have been stored. */
  forget(): void {
    this.#live.clear();
    this.#lanes.forget();
    this.#seqLimit = this.#seq;
  }

  nextSeq(): number {
    if (this.#seq === this.#seqLimit) {
      this.#seqLimit = this.#seq + SEQ_BLOCK;
      this.#setMeta("seq_limit", String(this.#seqLimit));
    }
    this.#seq += 1;
    return this.#seq;
  }

  currentSeq(): number {
    return this.#seq;
  }

  purgedSeq(): number {
    return this.#purgedSeq;
  }

  newId(now: number): string {
    return this.#ids.next(now);
  }

  insert(task: Task, seq: number, ownerId: string, args: string, idempotencyKey: string | null): StoredTask {
    const n = keyOfId(task.id);
    if (n === undefined) throw new Error(`"${task.id}" is no id of a task`);
    this.#sql(
      `INSERT INTO tasks (n, id, owner, lane, status, seq, attempt, max_attempts, fence, dispatched, deaths,
         cancel_requested, created_at, run_at, idempotency_key, args) VALUES (?,?,?,?,?,?,?,?,?,?,0,0,?,?,?,?)`,
    ).run(
      n,
      task.id,
      task.owner,
      this.#lanes.keyOf(task),
      statusCode(task.status),
      seq,
      task.attempt,
      task.maxAttempts,
      task.fence,
      task.dispatched ? 1 : 0,
      task.createdAt,
      task.runAt,
      idempotencyKey,
      args,
    );
    this.#ownerIds.set(task.owner, ownerId);
    return this.#keep({ ...task, n, seq, ownerId });
  }

  byIdempotencyKey(owner: number, name: string, key: string): TaskWithBody | undefined {
    // Literally "IS NOT NULL": only so can SQLite tell that the partial index holds what is asked for.
    const text = `SELECT ${BODY_COLUMNS} FROM tasks WHERE owner = ? AND idempotency_key = ? AND idempotency_key IS NOT NULL`;
    return this.#bodies(text, owner, key).find((task) => task.name === name);
  }

  get(id: string): StoredTask | undefined {
    const live = this.#live.get(id);
    if (live) return live;
    const n = keyOfId(id);
    if (n === undefined) return undefined;
    const row = this.#sql<TaskRow>(`SELECT ${COLUMNS} FROM tasks WHERE n = ? AND id = ?`).get(n, id);
    return row ? this.#keep(this.#toTask(row)) : undefined;
  }

  withBody(id: string): TaskWithBody | undefined {
    const n = keyOfId(id);
    return n === undefined ? undefined : this.#bodies(`SELECT ${BODY_COLUMNS} FROM tasks WHERE n = ? AND id = ?`, n, id)[0];
  }

  update(before: StoredTask, after: StoredTask): void {
    // SQLite renews every index that a SET list names, so the two steps of each task name no more than they change.
    if (before.seq === after.seq) this.#dispatch(after);
    else if (before.status === "queued" && after.status === "in progress") this.#start(after);
    else this.#updateAll(after);
    this.#keep(after);
  }

  complete(_before: StoredTask, after: StoredTask, result: string): void {
    this.#sql(
      `UPDATE tasks SET status = ?, seq = ?, dispatched = 0, progress = ?, message = ?, error_code = NULL, error_message = NULL,
         started_at = ?, finished_at = ?, result = ? WHERE n = ?`,
    ).run(statusCode(after.status), after.seq, after.progress, after.message, after.startedAt, after.finishedAt, result, after.n);
    this.#keep(after);
  }

  saveProgress({ id, n, fence, progress, message }: StoredTask): void {
    this.#sql("UPDATE tasks SET progress = ?, message = ? WHERE n = ? AND fence = ? AND status = 2").run(
      progress,
      message,
      n,
      fence,
    );
    const live = this.#live.get(id);
    if (live?.status === "in progress" && live.fence === fence) this.#live.set(id, { ...live, progress, message });
  }

  page(query: PageQuery): Page {
    const { rows, next } = readPage(this.#sql, query);
    return { items: rows.map((row) => this.#toTask(row)), next };
  }

  changed({ after, upTo, owner }: ChangeQuery, limit: number, resultBytes: number): readonly ChangedTask[] {
    // octet_length reads no more of a long result than its header.
    const fits = "result IS NULL OR octet_length(result) <= ?";
    const rows = this.#sql<TaskRow & { result: string | null; truncated: number }>(
      `SELECT ${COLUMNS}, iif(${fits}, result, NULL) AS result, iif(${fits}, 0, 1) AS truncated
         FROM ${changes(owner)} ORDER BY seq LIMIT ?`,
    ).all(resultBytes, resultBytes, after, upTo, ...(owner === undefined ? [] : [owner]), limit);
    return rows.map((row) => ({ ...this.#toTask(row), result: row.result, truncated: row.truncated === 1 }));
  }

  countChanged({ after, upTo, owner }: ChangeQuery, limit: number): number {
    const counted = this.#sql<{ count: number }>(`SELECT count(*) AS count FROM (SELECT 1 FROM ${changes(owner)} LIMIT ?)`);
    return counted.get(after, upTo, ...(owner === undefined ? [] : [owner]), limit)?.count ?? 0;
  }

  *dispatched(pageRows: number): Iterable<readonly TaskWithBody[]> {
    // What queues and what runs, each by its partial index and in that index's order.
    const queued = `SELECT ${BODY_COLUMNS} FROM tasks WHERE status = 1 AND dispatched = 1 AND (lane, n) > (?, ?) ORDER BY lane, n LIMIT ?`;
    const running = `SELECT ${BODY_COLUMNS} FROM tasks WHERE ${inStatusIndex(2)} AND (owner, n) > (?, ?) ORDER BY owner, n LIMIT ?`;
    for (const [text, group] of [
      [queued, "lane"],
      [running, "owner"],
    ] as const) {
      let last: BodyRow | undefined;
      do {
        const rows: BodyRow[] = this.#sql<BodyRow>(text).all(last?.[group] ?? 0, last?.n ?? 0, pageRows);
        last = rows.length === pageRows ? rows.at(-1) : undefined;
        if (rows.length > 0) yield rows.map((row) => this.#toTaskWithBody(row));
      } while (last);
    }
  }

  waiting(lane: Lane, limit: number, bytes: number): readonly TaskWithBody[] {
    const rows = this.#sql<BodyRow>(
      `SELECT ${BODY_COLUMNS} FROM tasks WHERE status = 1 AND dispatched = 0 AND lane = ? ORDER BY n LIMIT ?`,
    ).iterate(this.#lanes.keyOf(lane), limit);
    const waiting: TaskWithBody[] = [];
    let read = 0;
    for (const row of rows) {
      waiting.push(this.#toTaskWithBody(row));
      read += row.args.length;
      if (read >= bytes) break;
    }
    return waiting;
  }

  queuedLanes(): readonly LaneCount[] {
    const counts = this.#sql<{ lane: number; dispatched: number; count: number }>(
      "SELECT lane, dispatched, count(*) AS count FROM tasks WHERE status = 1 GROUP BY dispatched, lane",
    ).all();
    return counts.map(({ lane, dispatched, count }) => ({ ...this.#lanes.get(lane), dispatched: dispatched === 1, count }));
  }

  due(now: number, limit: number): readonly StoredTask[] {
    const rows = this.#sql<TaskRow>(
      `SELECT ${COLUMNS} FROM tasks WHERE status IN (0, 3) AND run_at <= ? ORDER BY run_at LIMIT ?`,
    ).all(now, limit);
    return rows.map((row) => this.#toTask(row));
  }

  nextDueAt(): number | undefined {
    return this.#sql<{ at: number | null }>("SELECT min(run_at) AS at FROM tasks WHERE status IN (0, 3)").get()?.at ?? undefined;
  }

  countPending(owner?: number): number {
    const own = owner === undefined ? [] : [owner];
    const mine = owner === undefined ? "" : "AND owner = ?";
    const lanes = owner === undefined ? "" : "AND dispatched IN (0, 1) AND lane IN (SELECT n FROM lanes WHERE owner = ?)";
    // Each condition is one that a partial index answers.
    const conditions = [...[0, 2, 3].map((code) => `${inStatusIndex(code)} ${mine}`), `status = 1 ${lanes}`];
    const counts = conditions.map((condition) =>
      this.#sql<{ count: number }>(`SELECT count(*) AS count FROM tasks WHERE ${condition}`).get(...own),
    );
    return counts.reduce((sum, row) => sum + (row?.count ?? 0), 0);
  }

  appendLog(n: number, lines: readonly LogLine[]): void {
    const first = this.#sql<{ line: number | null }>("SELECT max(line) AS line FROM task_logs WHERE task = ?").get(n)?.line ?? 0;
    const insert = this.#sql("INSERT INTO task_logs (task, line, at, level, message) VALUES (?,?,?,?,?)");
    lines.forEach((line, i) => {
      insert.run(n, first + 1 + i, line.at, line.level, line.message);
    });
  }

  log(n: number): readonly LogLine[] {
    return this.#sql<LogLine>("SELECT at, level, message FROM task_logs WHERE task = ? ORDER BY line").all(n);
  }

  offset(stream: string): Offset | null {
    return this.#sql<Offset>("SELECT epoch, id FROM offsets WHERE stream = ?").get(stream) ?? null;
  }

  saveOffset(stream: string, offset: Offset): void {
    this.#sql(
      "INSERT INTO offsets (stream, epoch, id) VALUES (?,?,?) ON CONFLICT (stream) DO UPDATE SET epoch = excluded.epoch, id = excluded.id",
    ).run(stream, offset.epoch, offset.id);
  }

  purge(finishedBefore: number, after: number, limit: number): { removed: number; next: number | null } {
    const rows = this.#sql<{ n: number; seq: number; status: number; created_at: number; finished_at: number | null }>(
      "SELECT n, seq, status, created_at, finished_at FROM tasks WHERE n > ? ORDER BY n LIMIT ?",
    ).all(after, PURGE_SCAN);
    // What was accepted later cannot have ended before; what lives on is stepped over.
    const oldest = rows.filter((row) => row.created_at < finishedBefore);
    const ended = oldest
      .filter((row) => TERMINAL_CODES.includes(row.status) && (row.finished_at ?? 0) < finishedBefore)
      .slice(0, limit);
    for (const { n, seq } of ended) {
      this.#sql("DELETE FROM tasks WHERE n = ?").run(n);
      this.#purgedSeq = Math.max(this.#purgedSeq, seq);
    }
    if (ended.length > 0) this.#setMeta("purged_seq", String(this.#purgedSeq));
    if (ended.length === limit) return { removed: limit, next: ended.at(-1)?.n ?? null };
    return { removed: ended.length, next: oldest.length === PURGE_SCAN ? (oldest.at(-1)?.n ?? null) : null };
  }

  /** Into the window: the one change without a new seq. */
  #dispatch(task: StoredTask): void {
    this.#sql("UPDATE tasks SET fence = ?, dispatched = ? WHERE n = ?").run(task.fence, task.dispatched ? 1 : 0, task.n);
  }

  #start(task: StoredTask): void {
    this.#sql("UPDATE tasks SET status = 2, seq = ?, started_at = ?, progress = NULL, message = NULL WHERE n = ?").run(
      task.seq,
      task.startedAt,
      task.n,
    );
  }

  #updateAll(task: StoredTask): void {
    this.#sql(
      `UPDATE tasks SET status = ?, seq = ?, attempt = ?, fence = ?, dispatched = ?, deaths = ?, cancel_requested = ?, progress = ?,
         message = ?, error_code = ?, error_message = ?, run_at = ?, started_at = ?, finished_at = ? WHERE n = ?`,
    ).run(
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
      task.n,
    );
  }

  #keep(task: StoredTask): StoredTask {
    if (task.dispatched) this.#live.set(task.id, task);
    else this.#live.delete(task.id);
    return task;
  }

  #bodies(text: string, ...parameters: (string | number)[]): TaskWithBody[] {
    return this.#sql<BodyRow>(text)
      .all(...parameters)
      .map((row) => this.#toTaskWithBody(row));
  }

  #toTask(row: TaskRow): StoredTask {
    return toTask(row, this.#lanes.get(row.lane), this.#ownerId(row.owner));
  }

  #toTaskWithBody(row: BodyRow): TaskWithBody {
    return { ...this.#toTask(row), args: row.args, result: row.result };
  }

  #ownerId(owner: number): string {
    const known = this.#ownerIds.get(owner);
    if (known !== undefined) return known;
    const id = this.#sql<{ id: string }>("SELECT id FROM accounts WHERE n = ?").get(owner)?.id ?? "";
    this.#ownerIds.set(owner, id);
    return id;
  }

  #meta(key: string): string | undefined {
    return this.#sql<{ value: string }>("SELECT value FROM meta WHERE key = ?").get(key)?.value;
  }

  #setMeta(key: string, value: string): string {
    this.#sql("INSERT INTO meta (key, value) VALUES (?,?) ON CONFLICT (key) DO UPDATE SET value = excluded.value").run(
      key,
      value,
    );
    return value;
  }
}

/** Rows changed after one seq and up to another; everybody's are found owner by owner, each by the same index. */
function changes(owner: number | undefined): string {
  const mine = "tasks INDEXED BY tasks_owner_seq WHERE seq > ? AND seq <= ? AND owner";
  return owner === undefined ? `${mine} IN (SELECT n FROM accounts)` : `${mine} = ?`;
}
