import type { Pause, PauseStore } from "../../ports/pauses.ts";
import type { Prepared } from "./prepared.ts";

export class SqlitePauses implements PauseStore {
  readonly #sql: Prepared;

  constructor(sql: Prepared) {
    this.#sql = sql;
  }

  all(): readonly Pause[] {
    return this.#sql<Pause>("SELECT kind, name, since FROM pauses ORDER BY kind, name").all();
  }

  add({ kind, name, since }: Pause): void {
    this.#sql("INSERT INTO pauses (kind, name, since) VALUES (?,?,?) ON CONFLICT DO NOTHING").run(kind, name, since);
  }

  remove({ kind, name }: Pick<Pause, "kind" | "name">): void {
    this.#sql("DELETE FROM pauses WHERE kind = ? AND name = ?").run(kind, name);
  }
}
