import type { Database } from "bun:sqlite";
import type { Task } from "../../domain/task.ts";
import type { LogLine, Offset } from "../../ports/broker.ts";
import type {
  ChangedTask,
  ChangeQuery,
  KeyedTask,
  Lane,
  LaneCount,
  Page,
  PageQuery,
  StoredTask,
  TaskStore,
  TaskWithBody,
} from "../../ports/tasks.ts";
import { Backlog } from "./backlog.ts";
import { IdempotencyRows } from "./idempotency-rows.ts";
import { LaneRows } from "./lane-rows.ts";
import { LogRows } from "./log-rows.ts";
import { MetaRows, Seqs } from "./meta-rows.ts";
import { readPage } from "./pages.ts";
import { type Prepared, preparedOn } from "./prepared.ts";
import { purgeRows } from "./purge.ts";
import { keyOfId, TaskIds } from "./task-ids.ts";
import { TaskReader } from "./task-reader.ts";
import { BODY_COLUMNS, COLUMNS, type TaskRow } from "./task-rows.ts";
import { TaskWrites } from "./task-writes.ts";
import { UniqueRows } from "./unique-rows.ts";

/**
 * Tasks on bun:sqlite with prepared statements: these run for every task, where a query builder's share would show.
 * Rows that the broker holds are kept in memory as well, so that recording an outcome needs no read.
 */
export class SqliteTasks implements TaskStore {
  readonly epoch: string;
  /** Tells this data directory from all others. */
  readonly directory: string;
  readonly #sql: Prepared;
  readonly #writes: TaskWrites;
  readonly #lanes: LaneRows;
  readonly #ids: TaskIds;
  /** Dispatched tasks by id: as many as the window holds. */
  readonly #live = new Map<string, StoredTask>();
  readonly #meta: MetaRows;
  readonly #seqs: Seqs;
  readonly #logs: LogRows;
  readonly #unique: UniqueRows;
  readonly #idempotency: IdempotencyRows;
  /** For whoever reads tasks on the same connection. */
  readonly reader: TaskReader;
  readonly #backlog: Backlog;
  #purgedSeq: number;

  constructor(db: Database, uuid: () => string) {
    this.#sql = preparedOn(db);
    this.#writes = new TaskWrites(db);
    this.#lanes = new LaneRows(this.#sql);
    this.reader = new TaskReader(this.#sql, this.#lanes);
    this.#backlog = new Backlog(this.#sql, this.#lanes, this.reader);
    this.#logs = new LogRows(this.#sql);
    this.#unique = new UniqueRows(this.#sql);
    this.#idempotency = new IdempotencyRows(this.#sql, this.reader);
    this.#meta = new MetaRows(this.#sql);
    this.#seqs = new Seqs(this.#meta);
    this.epoch = this.#meta.get("epoch") ?? this.#meta.set("epoch", uuid());
    this.directory = this.#meta.get("directory") ?? this.#meta.set("directory", uuid());
    this.#purgedSeq = Number(this.#meta.get("purged_seq") ?? 0);
    this.#ids = new TaskIds(this.#sql<{ n: number | null }>("SELECT max(n) AS n FROM tasks").get()?.n ?? 0);
  }

  /** A transaction was rolled back: what memory says may never have been stored. */
  forget(): void {
    this.#live.clear();
    this.#lanes.forget();
    this.#seqs.forget();
  }

  nextSeq(): number {
    return this.#seqs.next();
  }

  currentSeq(): number {
    return this.#seqs.current;
  }

  purgedSeq(): number {
    return this.#purgedSeq;
  }

  newId(now: number): string {
    return this.#ids.next(now);
  }

  insert(
    task: Task,
    seq: number,
    ownerId: string,
    args: string,
    idempotencyKey: string | null,
    workflow: string | null = null,
  ): StoredTask {
    const n = this.#ids.keyOf(task.id);
    if (n === undefined) throw new Error(`"${task.id}" is no id of a task`);
    this.#writes.insert(n, task, this.#lanes.keyOf(task), seq, idempotencyKey, args);
    return this.#keep({ ...task, n, seq, ownerId, workflow });
  }

  byIdempotencyKey(owner: number, name: string, key: string): KeyedTask | undefined {
    return this.#idempotency.find(owner, name, key);
  }

  keepAnswer(key: string, task: StoredTask, inputDigest: string): void {
    this.#idempotency.keep(key, task, inputDigest);
  }

  byUniqueKey(key: string): StoredTask | undefined {
    const id = this.#unique.holder(key);
    return id === undefined ? undefined : this.get(id);
  }

  giveKey(key: string, task: StoredTask): void {
    this.#unique.give(key, task.n);
  }

  get(id: string): StoredTask | undefined {
    const live = this.#live.get(id);
    if (live) return live;
    const n = keyOfId(id);
    if (n === undefined) return undefined;
    const row = this.#sql<TaskRow>(`SELECT ${COLUMNS} FROM tasks WHERE n = ? AND id = ?`).get(n, id);
    return row ? this.#keep(this.reader.task(row)) : undefined;
  }

  withBody(id: string): TaskWithBody | undefined {
    const n = keyOfId(id);
    return n === undefined ? undefined : this.reader.bodies(`SELECT ${BODY_COLUMNS} FROM tasks WHERE n = ? AND id = ?`, n, id)[0];
  }

  update(before: StoredTask, after: StoredTask): void {
    // The one change without a new seq.
    if (before.seq === after.seq) this.#writes.dispatch(after);
    else if (before.status === "queued" && after.status === "in progress") this.#writes.start(after);
    else this.#writes.update(after);
    this.#keep(after);
  }

  complete(_before: StoredTask, after: StoredTask, result: string): void {
    this.#writes.complete(after, result);
    this.#keep(after);
  }

  replaceArgs({ n }: StoredTask, args: string): void {
    this.#sql("UPDATE tasks SET args = ? WHERE n = ?").run(args, n);
  }

  saveProgress(task: StoredTask): void {
    const { id, fence, progress, message } = task;
    this.#writes.progress(task);
    const live = this.#live.get(id);
    if (live?.status === "in progress" && live.fence === fence) this.#live.set(id, { ...live, progress, message });
  }

  page(query: PageQuery): Page {
    const { rows, next } = readPage(this.#sql, query);
    return { items: rows.map((row) => this.reader.task(row)), next };
  }

  changed({ after, upTo, owner }: ChangeQuery, limit: number, resultBytes: number): readonly ChangedTask[] {
    // octet_length reads no more of a long result than its header.
    const fits = "result IS NULL OR octet_length(result) <= ?";
    const rows = this.#sql<TaskRow & { result: string | null; truncated: number }>(
      `SELECT ${COLUMNS}, iif(${fits}, result, NULL) AS result, iif(${fits}, 0, 1) AS truncated
         FROM ${changes(owner)} ORDER BY seq LIMIT ?`,
    ).all(resultBytes, resultBytes, after, upTo, ...(owner === undefined ? [] : [owner]), limit);
    return rows.map((row) => ({ ...this.reader.task(row), result: row.result, truncated: row.truncated === 1 }));
  }

  countChanged({ after, upTo, owner }: ChangeQuery, limit: number): number {
    const counted = this.#sql<{ count: number }>(`SELECT count(*) AS count FROM (SELECT 1 FROM ${changes(owner)} LIMIT ?)`);
    return counted.get(after, upTo, ...(owner === undefined ? [] : [owner]), limit)?.count ?? 0;
  }

  dispatched(pageRows: number): Iterable<readonly TaskWithBody[]> {
    return this.#backlog.dispatched(pageRows);
  }

  waiting(lane: Lane, limit: number, bytes: number): readonly TaskWithBody[] {
    return this.#backlog.waiting(lane, limit, bytes);
  }

  queuedLanes(): readonly LaneCount[] {
    return this.#backlog.queuedLanes();
  }

  due(now: number, limit: number): readonly StoredTask[] {
    return this.#backlog.due(now, limit);
  }

  nextDueAt(): number | undefined {
    return this.#backlog.nextDueAt();
  }

  countPending(owner?: number): number {
    return this.#backlog.countPending(owner);
  }

  countInProgress(): number {
    return this.#backlog.countInProgress();
  }

  appendLog(n: number, lines: readonly LogLine[]): void {
    this.#logs.append(n, lines);
  }

  log(n: number): readonly LogLine[] {
    return this.#logs.of(n);
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
    const { rows, next, highestSeq } = purgeRows(this.#sql, finishedBefore, after, limit);
    this.#purgedSeq = Math.max(this.#purgedSeq, highestSeq);
    if (rows > 0) this.#meta.set("purged_seq", String(this.#purgedSeq));
    return { removed: rows, next };
  }

  #keep(task: StoredTask): StoredTask {
    if (task.dispatched) this.#live.set(task.id, task);
    else this.#live.delete(task.id);
    return task;
  }
}

/** Rows changed after one seq and up to another; everybody's are found owner by owner, each by the same index. */
function changes(owner: number | undefined): string {
  const mine = "tasks INDEXED BY tasks_owner_seq WHERE seq > ? AND seq <= ? AND owner";
  return owner === undefined ? `${mine} IN (SELECT n FROM accounts)` : `${mine} = ?`;
}
