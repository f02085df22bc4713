import type { LogLine } from "../../ports/broker.ts";
import type { Prepared } from "./prepared.ts";

/** The lines that tasks wrote, by the key of the task. */
export class LogRows {
  readonly #sql: Prepared;

  constructor(sql: Prepared) {
    this.#sql = sql;
  }

  append(task: number, lines: readonly LogLine[]): void {
    const last =
      this.#sql<{ line: number | null }>("SELECT max(line) AS line FROM task_logs WHERE task = ?").get(task)?.line ?? 0;
    const insert = this.#sql("INSERT INTO task_logs (task, line, at, level, message) VALUES (?,?,?,?,?)");
    for (const [i, { at, level, message }] of lines.entries()) insert.run(task, last + 1 + i, at, level, message);
  }

  /** Oldest first. */
  of(task: number): readonly LogLine[] {
    return this.#sql<LogLine>("SELECT at, level, message FROM task_logs WHERE task = ? ORDER BY line").all(task);
  }
}
