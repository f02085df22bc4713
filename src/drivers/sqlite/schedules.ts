import type { ScheduleRow, ScheduleStore } from "../../ports/schedules.ts";
import type { Prepared } from "./prepared.ts";

type Row = Omit<ScheduleRow, "paused"> & { readonly paused: number };

const COLUMNS = "task, cron, time_zone AS timeZone, paused, next_at AS nextAt, last_at AS lastAt, last_task AS lastTask";

export class SqliteSchedules implements ScheduleStore {
  readonly #sql: Prepared;

  constructor(sql: Prepared) {
    this.#sql = sql;
  }

  all(): readonly ScheduleRow[] {
    return this.#sql<Row>(`SELECT ${COLUMNS} FROM schedules ORDER BY task`).all().map(rowOf);
  }

  get(task: string): ScheduleRow | undefined {
    const row = this.#sql<Row>(`SELECT ${COLUMNS} FROM schedules WHERE task = ?`).get(task);
    return row ? rowOf(row) : undefined;
  }

  put({ task, cron, timeZone, paused, nextAt, lastAt, lastTask }: ScheduleRow): void {
    this.#sql(
      "INSERT OR REPLACE INTO schedules (task, cron, time_zone, paused, next_at, last_at, last_task) VALUES (?,?,?,?,?,?,?)",
    ).run(task, cron, timeZone, paused ? 1 : 0, nextAt, lastAt, lastTask);
  }
}

const rowOf = (row: Row): ScheduleRow => ({ ...row, paused: row.paused === 1 });
