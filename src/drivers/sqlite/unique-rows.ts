import type { Prepared } from "./prepared.ts";

/** Which task has a key that only one may have while it waits or runs; a row stays until its task is removed, or another has the key. */
export class UniqueRows {
  readonly #sql: Prepared;

  constructor(sql: Prepared) {
    this.#sql = sql;
  }

  /** @returns the id of the task that had it last */
  holder(key: string): string | undefined {
    return this.#sql<{ id: string }>(
      "SELECT tasks.id FROM unique_keys JOIN tasks ON tasks.n = unique_keys.task WHERE unique_keys.key = ?",
    ).get(key)?.id;
  }

  give(key: string, n: number): void {
    this.#sql("INSERT OR REPLACE INTO unique_keys (key, task) VALUES (?,?)").run(key, n);
  }
}
