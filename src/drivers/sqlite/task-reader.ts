import type { StoredTask, TaskWithBody } from "../../ports/tasks.ts";
import type { LaneRows } from "./lane-rows.ts";
import type { Prepared } from "./prepared.ts";
import { type BodyRow, type TaskRow, toTask } from "./task-rows.ts";

/** More owners, and more workflows, than this are looked up again when needed, so that memory does not grow with the number of them. */
const REMEMBERED = 50_000;

/** Makes tasks of rows: a row holds keys where a task has its lane's and its owner's names. */
export class TaskReader {
  readonly #sql: Prepared;
  readonly #lanes: LaneRows;
  readonly #ownerIds = new Map<number, string>();
  readonly #workflowIds = new Map<number, string>();

  constructor(sql: Prepared, lanes: LaneRows) {
    this.#sql = sql;
    this.#lanes = lanes;
  }

  task(row: TaskRow): StoredTask {
    const workflow = row.workflow === null ? null : this.#workflowId(row.workflow);
    return toTask(row, this.#lanes.get(row.lane), { ownerId: this.ownerId(row.owner), workflow });
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

  ownerId(owner: number): string {
    const find = () => this.#sql<{ id: string }>("SELECT id FROM accounts WHERE n = ?").get(owner)?.id;
    return remembered(this.#ownerIds, owner, find);
  }

  #workflowId(workflow: number): string {
    const find = () => this.#sql<{ id: string }>("SELECT id FROM workflows WHERE n = ?").get(workflow)?.id;
    return remembered(this.#workflowIds, workflow, find);
  }
}

function remembered(ids: Map<number, string>, key: number, find: () => string | undefined): string {
  const known = ids.get(key);
  if (known !== undefined) return known;
  const id = find() ?? "";
  if (ids.size >= REMEMBERED) ids.clear();
  ids.set(key, id);
  return id;
}
