import type { StoredTask, TaskWithBody } from "../../ports/tasks.ts";
import type { LaneRows } from "./lane-rows.ts";
import type { Prepared } from "./prepared.ts";
import { type BodyRow, type TaskRow, toTask } from "./task-rows.ts";

/** More owners than this are looked up again when needed, so that memory does not grow with the number of users. */
const REMEMBERED_OWNERS = 50_000;

/** Makes tasks of rows: a row holds keys where a task has its lane's and its owner's names. */
export class TaskReader {
  readonly #sql: Prepared;
  readonly #lanes: LaneRows;
  readonly #ownerIds = new Map<number, string>();

  constructor(sql: Prepared, lanes: LaneRows) {
    this.#sql = sql;
    this.#lanes = lanes;
  }

  task(row: TaskRow): StoredTask {
    return toTask(row, this.#lanes.get(row.lane), this.#ownerId(row.owner));
  }

  withBody(row: BodyRow): TaskWithBody {
    return { ...this.task(row), args: row.args, result: row.result };
  }

  /** Tasks with their bodies, by a query that selects BODY_COLUMNS. */
  bodies(text: string, ...parameters: (string | number)[]): TaskWithBody[] {
    return this.#sql<BodyRow>(text)
      .all(...parameters)
      .map((row) => this.withBody(row));
  }

  #ownerId(owner: number): string {
    const known = this.#ownerIds.get(owner);
    if (known !== undefined) return known;
    const id = this.#sql<{ id: string }>("SELECT id FROM accounts WHERE n = ?").get(owner)?.id ?? "";
    if (this.#ownerIds.size >= REMEMBERED_OWNERS) this.#ownerIds.clear();
    this.#ownerIds.set(owner, id);
    return id;
  }
}
