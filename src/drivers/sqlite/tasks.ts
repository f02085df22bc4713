import type { Database, Statement } from "bun:sqlite";
import { PRIORITIES, type Task } from "../../domain/task.ts";
import type { LogLine, Offset } from "../../ports/broker.ts";
import type { ChangedTask, ChangeQuery, Lane, LaneCount, Page, PageQuery, StoredTask, TaskStore, TaskWithBody } from "../../ports/tasks.ts";
import { readPage } from "./pages.ts";
import { ACTIVE_CODES, BODY_COLUMNS, type BodyRow, COLUMNS, statusCode, type TaskRow, TERMINAL_CODES, toTask, toTaskWithBody } from "./task-rows.ts";

/** A page of purging looks at no more than this many of the oldest changes. */
const PURGE_SCAN = 2_000;

/**
 * Tasks on bun:sqlite with prepared statements: these run for every task, where a query builder's share would show.
 * Rows that the broker holds are kept in memory as well, so that recording an outcome needs no read.
 */
export class SqliteTasks implements TaskStore {
  readonly epoch: string;
  readonly #db: Database;
  readonly #statements = new Map<string, Statement>();
  /** Dispatched tasks by id: as many as the window holds. */
  readonly #live = new Map<string, StoredTask>();
  readonly #ownerIds = new Map<number, string>();
  #seq: number;
  #purgedSeq: number;

  constructor(db: Database, newEpoch: () => string) {
    this.#db = db;
    this.epoch = this.#meta("epoch") ?? this.#setMeta("epoch", newEpoch());
    this.#purgedSeq = Number(this.#meta("purged_seq") ?? 0);
    const newest = this.#sql<{ seq: number | null }>("SELECT max(seq) AS seq FROM tasks").get()?.seq ?? 0;
    this.#seq = Math.max(newest, this.#purgedSeq);
  }

  /** A transaction was rolled back: what memory says may never have been stored. */
  forget(): void {
    this.#live.clear();
  }

  nextSeq(): number {
    this.#seq += 1;
    return this.#seq;
  }

  currentSeq(): number {
    return this.#seq;
  }

  purgedSeq(): number {
    return this.#purgedSeq;
  }

  insert(task: Task, seq: number, ownerId: string, args: string, idempotencyKey: string | null): StoredTask {
    const { lastInsertRowid } = this.#sql(
      `INSERT INTO tasks (id, owner, name, queue, priority, status, seq, attempt, max_attempts, fence, dispatched, deaths,
         cancel_requested, created_at, run_at, idempotency_key, args) VALUES (?,?,?,?,?,?,?,?,?,?,?,0,0,?,?,?,?)`,
    ).run(
      task.id,
      task.owner,
      task.name,
      task.queue,
      PRIORITIES.indexOf(task.priority),
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
    return this.#keep({ ...task, n: Number(lastInsertRowid), seq, ownerId });
  }

  byIdempotencyKey(owner: number, name: string, key: string): TaskWithBody | undefined {
    const row = this.#sql<BodyRow>(`SELECT ${BODY_COLUMNS} FROM tasks WHERE owner = ? AND name = ? AND idempotency_key = ?`).get(owner, name, key);
    return row ? toTaskWithBody(row, this.#ownerId(row.owner)) : undefined;
  }

  get(id: string): StoredTask | undefined {
    const live = this.#live.get(id);
    if (live) return live;
    const row = this.#sql<TaskRow>(`SELECT ${COLUMNS} FROM tasks WHERE id = ?`).get(id);
    return row ? this.#keep(toTask(row, this.#ownerId(row.owner))) : undefined;
  }

  withBody(id: string): TaskWithBody | undefined {
    const row = this.#sql<BodyRow>(`SELECT ${BODY_COLUMNS} FROM tasks WHERE id = ?`).get(id);
    return row ? toTaskWithBody(row, this.#ownerId(row.owner)) : undefined;
  }

  update(before: StoredTask, after: StoredTask): void {
    if (before.status === "queued" && after.status === "in progress") this.#start(after);
    else this.#updateAll(after);
    this.#keep(after);
  }

  complete(_before: StoredTask, after: StoredTask, result: string): void {
    this.#sql(
      `UPDATE tasks SET status = ?, seq = ?, dispatched = 0, progress = ?, message = ?, error_code = NULL, error_message = NULL,
         started_at = ?, finished_at = ?, result = ? WHERE id = ?`,
    ).run(statusCode(after.status), after.seq, after.progress, after.message, after.startedAt, after.finishedAt, result, after.id);
    this.#keep(after);
  }

  saveProgress(id: string, fence: number, progress: number | null, message: string | null): void {
    this.#sql("UPDATE tasks SET progress = ?, message = ? WHERE id = ? AND fence = ? AND status = 2").run(progress, message, id, fence);
  }

  page(query: PageQuery): Page {
    const { rows, next } = readPage((text) => this.#sql<TaskRow>(text), query);
    return { items: rows.map((row) => toTask(row, this.#ownerId(row.owner))), next };
  }

  changed({ after, upTo, owner }: ChangeQuery, limit: number, resultBytes: number): readonly ChangedTask[] {
    const mine = owner === undefined ? "" : "owner = ? AND";
    // octet_length reads no more of a long result than its header.
    const fits = "result IS NULL OR octet_length(result) <= ?";
    const rows = this.#sql<TaskRow & { result: string | null; truncated: number }>(
      `SELECT ${COLUMNS}, iif(${fits}, result, NULL) AS result, iif(${fits}, 0, 1) AS truncated
         FROM tasks WHERE ${mine} seq > ? AND seq <= ? ORDER BY seq LIMIT ?`,
    ).all(resultBytes, resultBytes, ...(owner === undefined ? [] : [owner]), after, upTo, limit);
    return rows.map((row) => ({ ...toTask(row, this.#ownerId(row.owner)), result: row.result, truncated: row.truncated === 1 }));
  }

  countChanged({ after, upTo, owner }: ChangeQuery, limit: number): number {
    const mine = owner === undefined ? "" : "owner = ? AND";
    const row = this.#sql<{ count: number }>(`SELECT count(*) AS count FROM (SELECT 1 FROM tasks WHERE ${mine} seq > ? AND seq <= ? LIMIT ?)`).get(
      ...(owner === undefined ? [] : [owner]),
      after,
      upTo,
      limit,
    );
    return row?.count ?? 0;
  }

  dispatched(afterN: number, limit: number): readonly TaskWithBody[] {
    return this.#bodies(`SELECT ${BODY_COLUMNS} FROM tasks WHERE dispatched = 1 AND n > ? ORDER BY n LIMIT ?`, afterN, limit);
  }

  waiting(lane: Lane, limit: number): readonly TaskWithBody[] {
    return this.#bodies(
      `SELECT ${BODY_COLUMNS} FROM tasks WHERE status = 1 AND dispatched = 0 AND queue = ? AND name = ? AND priority = ? AND owner = ? ORDER BY n LIMIT ?`,
      lane.queue,
      lane.name,
      PRIORITIES.indexOf(lane.priority),
      lane.owner,
      limit,
    );
  }

  queuedLanes(): readonly LaneCount[] {
    const lanes = "SELECT queue, name, priority, owner, count(*) AS count FROM tasks WHERE";
    const grouped = "GROUP BY queue, name, priority, owner";
    // Each half is answered by the partial index of its condition.
    const count = (dispatched: boolean, condition: string): LaneCount[] =>
      this.#sql<{ queue: string; name: string; priority: number; owner: number; count: number }>(`${lanes} ${condition} ${grouped}`)
        .all()
        .map((row) => ({ ...row, dispatched, priority: PRIORITIES[row.priority] ?? "normal" }));
    return [...count(true, "dispatched = 1 AND status = 1"), ...count(false, "status = 1 AND dispatched = 0")];
  }

  due(now: number, limit: number): readonly StoredTask[] {
    const rows = this.#sql<TaskRow>(`SELECT ${COLUMNS} FROM tasks WHERE status IN (0, 3) AND run_at <= ? ORDER BY run_at LIMIT ?`).all(now, limit);
    return rows.map((row) => toTask(row, this.#ownerId(row.owner)));
  }

  nextDueAt(): number | undefined {
    return this.#sql<{ at: number | null }>("SELECT min(run_at) AS at FROM tasks WHERE status IN (0, 3)").get()?.at ?? undefined;
  }

  countPending(owner?: number): number {
    const conditions =
      owner === undefined
        ? // Each of these is the condition of a partial index that holds nothing else.
          ["dispatched = 1", "status = 1 AND dispatched = 0", "status IN (0, 3)"]
        : ACTIVE_CODES.map((code) => `owner = ${owner} AND status = ${code}`);
    const counts = conditions.map((condition) => this.#db.query<{ count: number }, []>(`SELECT count(*) AS count FROM tasks WHERE ${condition}`).get());
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
    this.#sql("INSERT INTO offsets (stream, epoch, id) VALUES (?,?,?) ON CONFLICT (stream) DO UPDATE SET epoch = excluded.epoch, id = excluded.id").run(
      stream,
      offset.epoch,
      offset.id,
    );
  }

  purge(finishedBefore: number, afterSeq: number, limit: number): { removed: number; next: number | null } {
    // Seq rises with time, so the oldest changes come first; what still waits among them is stepped over.
    const oldest = this.#sql<{ n: number; id: string; seq: number; status: number; finished_at: number | null }>(
      "SELECT n, id, seq, status, finished_at FROM tasks WHERE seq > ? ORDER BY seq LIMIT ?",
    ).all(afterSeq, PURGE_SCAN);
    let removed = 0;
    for (const row of oldest) {
      if (!TERMINAL_CODES.includes(row.status)) continue;
      if ((row.finished_at ?? 0) >= finishedBefore) return { removed, next: null };
      this.#sql("DELETE FROM tasks WHERE n = ?").run(row.n);
      this.#purgedSeq = Math.max(this.#purgedSeq, row.seq);
      removed += 1;
      if (removed === limit) break;
    }
    if (removed > 0) this.#setMeta("purged_seq", String(this.#purgedSeq));
    return { removed, next: removed === limit ? afterSeq : (oldest.length === PURGE_SCAN ? (oldest.at(-1)?.seq ?? null) : null) };
  }

  #start(task: StoredTask): void {
    this.#sql("UPDATE tasks SET status = 2, seq = ?, started_at = ?, progress = NULL, message = NULL WHERE id = ?").run(task.seq, task.startedAt, task.id);
  }

  #updateAll(task: StoredTask): void {
    this.#sql(
      `UPDATE tasks SET status = ?, seq = ?, attempt = ?, fence = ?, dispatched = ?, deaths = ?, cancel_requested = ?, progress = ?,
         message = ?, error_code = ?, error_message = ?, run_at = ?, started_at = ?, finished_at = ? WHERE id = ?`,
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
      task.id,
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
      .map((row) => toTaskWithBody(row, this.#ownerId(row.owner)));
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
    this.#sql("INSERT INTO meta (key, value) VALUES (?,?) ON CONFLICT (key) DO UPDATE SET value = excluded.value").run(key, value);
    return value;
  }

  // biome-ignore lint/suspicious/noExplicitAny: each caller states the row; the parameters are SQLite's to check.
  #sql<Row = unknown>(text: string): Statement<Row, any[]> {
    let statement = this.#statements.get(text);
    if (!statement) {
      statement = this.#db.prepare(text);
      this.#statements.set(text, statement);
    }
    // biome-ignore lint/suspicious/noExplicitAny: see above.
    return statement as Statement<Row, any[]>;
  }
}

