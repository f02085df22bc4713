import type { KeyedTask, StoredTask } from "../../ports/tasks.ts";
import type { Prepared } from "./prepared.ts";
import type { TaskReader } from "./task-reader.ts";
import { BODY_COLUMNS, type BodyRow } from "./task-rows.ts";

/** Which task an Idempotency-Key stands for: the one that was made for it, or an earlier one that was the answer. */
export class IdempotencyRows {
  readonly #sql: Prepared;
  readonly #reader: TaskReader;

  constructor(sql: Prepared, reader: TaskReader) {
    this.#sql = sql;
    this.#reader = reader;
  }

  find(owner: number, name: string, key: string): KeyedTask | undefined {
    // One statement for both, since most keys are new. Literally "IS NOT NULL": only so can SQLite tell that the partial
    // index holds what is asked for.
    const rows = this.#sql<BodyRow & { input: string | null }>(
      `SELECT ${BODY_COLUMNS}, NULL AS input FROM tasks WHERE owner = ?1 AND idempotency_key = ?2 AND idempotency_key IS NOT NULL
       UNION ALL
       SELECT ${BODY_COLUMNS}, input FROM (SELECT task, input FROM answered_keys WHERE owner = ?1 AND key = ?2)
         JOIN tasks ON tasks.n = task`,
    ).all(owner, key);
    const tasks = rows.map((row) => ({ ...this.#reader.withBody(row), inputDigest: row.input }));
    return tasks.find((task) => task.name === name);
  }

  keep(key: string, { owner, n }: StoredTask, inputDigest: string): void {
    this.#sql("INSERT INTO answered_keys (owner, key, task, input) VALUES (?,?,?,?)").run(owner, key, n, inputDigest);
  }
}
