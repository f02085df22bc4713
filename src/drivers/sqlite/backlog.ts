import type { Lane, LaneCount, StoredTask, TaskWithBody } from "../../ports/tasks.ts";
import type { LaneRows } from "./lane-rows.ts";
import type { Prepared } from "./prepared.ts";
import type { TaskReader } from "./task-reader.ts";
import { BODY_COLUMNS, type BodyRow, COLUMNS, inStatusIndex, type TaskRow } from "./task-rows.ts";

/** The tasks that have not ended, as the port TaskStore asks for them: what the broker holds, what waits, what is due. */
export class Backlog {
  readonly #sql: Prepared;
  readonly #lanes: LaneRows;
  readonly #read: TaskReader;

  constructor(sql: Prepared, lanes: LaneRows, read: TaskReader) {
    this.#sql = sql;
    this.#lanes = lanes;
    this.#read = read;
  }

  /** What queues and what runs, each by its partial index and in that index's order. */
  *dispatched(pageRows: number): Iterable<readonly TaskWithBody[]> {
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
        if (rows.length > 0) yield rows.map((row) => this.#read.withBody(row));
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
      waiting.push(this.#read.withBody(row));
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
    return rows.map((row) => this.#read.task(row));
  }

  nextDueAt(): number | undefined {
    return this.#sql<{ at: number | null }>("SELECT min(run_at) AS at FROM tasks WHERE status IN (0, 3)").get()?.at ?? undefined;
  }

  countInProgress(): number {
    return this.#sql<{ count: number }>(`SELECT count(*) AS count FROM tasks WHERE ${inStatusIndex(2)}`).get()?.count ?? 0;
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
}
