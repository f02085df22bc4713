import type { Database } from "bun:sqlite";
import type { Workflow } from "../../domain/workflow.ts";
import type { Shape } from "../../domain/workflow-plan.ts";
import type { StoredTask } from "../../ports/tasks.ts";
import type {
  Joint,
  Membership,
  NewJoint,
  Repeatable,
  StoredWorkflow,
  WorkflowChangeQuery,
  WorkflowPage,
  WorkflowQuery,
  WorkflowStore,
} from "../../ports/workflows.ts";
import { type Prepared, preparedOn } from "./prepared.ts";
import { keyOfId } from "./task-ids.ts";
import type { TaskReader } from "./task-reader.ts";
import { COLUMNS, type TaskRow } from "./task-rows.ts";
import { countsText, toWorkflow, WORKFLOW_COLUMNS, type WorkflowRow } from "./workflow-rows.ts";

interface MembershipRow {
  waits_for: number | null;
  counts_into: number;
  unresolved: number;
  abandoned: number;
  delay_ms: number;
}

/** Workflows on bun:sqlite, on the connection of the tasks. It keeps no row in memory. */
export class SqliteWorkflows implements WorkflowStore {
  readonly #sql: Prepared;
  readonly #read: TaskReader;

  /** @param reader of the tasks on the same connection, which knows when to forget */
  constructor(db: Database, reader: TaskReader) {
    this.#sql = preparedOn(db);
    this.#read = reader;
  }

  insert(
    workflow: Workflow,
    seq: number,
    ownerId: string,
    joints: readonly NewJoint[],
    repeatable: Repeatable | undefined,
  ): { workflow: StoredWorkflow; joints: number[] } {
    const n = keyOf(workflow.id);
    const { id, owner, counts, reached, createdAt } = workflow;
    this.#sql(
      `INSERT INTO workflows (n, id, owner, seq, untold, counts, reached, created_at, idempotency_key, digest)
         VALUES (?,?,?,?,0,?,?,?,?,?)`,
    ).run(n, id, owner, seq, countsText(counts), reached, createdAt, repeatable?.key ?? null, repeatable?.digest ?? null);
    const insert = this.#sql("INSERT INTO workflow_joints (workflow, pending, bad, value) VALUES (?,?,0,?)");
    const keys = joints.map(({ pending, value }) => Number(insert.run(n, pending, JSON.stringify(byKey(value))).lastInsertRowid));
    return { workflow: { ...workflow, n, seq, ownerId }, joints: keys };
  }

  addMember(
    workflow: StoredWorkflow,
    task: StoredTask,
    { waitsFor, countsInto, unresolved, delayMs }: Omit<Membership, "abandoned">,
  ): void {
    this.#sql(
      "INSERT INTO workflow_tasks (task, workflow, waits_for, counts_into, unresolved, abandoned, delay_ms) VALUES (?,?,?,?,?,0,?)",
    ).run(task.n, workflow.n, waitsFor, countsInto, unresolved ? 1 : 0, delayMs);
  }

  get(id: string): StoredWorkflow | undefined {
    const n = keyOfId(id);
    return n === undefined ? undefined : this.#workflows("WHERE n = ? AND id = ?", n, id)[0];
  }

  byIdempotencyKey(owner: number, key: string): { id: string; digest: string } | undefined {
    // "IS NOT NULL" to the letter: only so can SQLite tell that the partial index holds what is asked for.
    const where = "owner = ? AND idempotency_key = ? AND idempotency_key IS NOT NULL";
    return (
      this.#sql<{ id: string; digest: string }>(`SELECT id, digest FROM workflows WHERE ${where}`).get(owner, key) ?? undefined
    );
  }

  update({ n, seq, counts, reached, finishedAt }: StoredWorkflow, untold: boolean): void {
    this.#sql("UPDATE workflows SET seq = ?, untold = ?, counts = ?, reached = ?, finished_at = ? WHERE n = ?").run(
      seq,
      untold ? 1 : 0,
      countsText(counts),
      reached,
      finishedAt,
      n,
    );
  }

  untold(limit: number): readonly StoredWorkflow[] {
    return this.#workflows("WHERE untold = 1 ORDER BY n LIMIT ?", limit);
  }

  any(): boolean {
    return this.#sql("SELECT 1 FROM workflows LIMIT 1").get() !== null;
  }

  page({ owner, before, limit }: WorkflowQuery): WorkflowPage {
    const conditions = [...(owner === undefined ? [] : ["owner = ?"]), ...(before === undefined ? [] : ["n < ?"])];
    const where = conditions.length === 0 ? "" : `WHERE ${conditions.join(" AND ")}`;
    const values = [...(owner === undefined ? [] : [owner]), ...(before === undefined ? [] : [before])];
    const rows = this.#workflows(`${where} ORDER BY n DESC LIMIT ?`, ...values, limit + 1);
    const items = rows.slice(0, limit);
    return { items, next: rows.length > limit ? (items.at(-1)?.n ?? null) : null };
  }

  changed(query: WorkflowChangeQuery, limit: number): readonly StoredWorkflow[] {
    return this.#workflows(`${changes(query)} ORDER BY seq LIMIT ?`, ...changeValues(query), limit);
  }

  countChanged(query: WorkflowChangeQuery, limit: number): number {
    const text = `SELECT count(*) AS count FROM (SELECT 1 FROM workflows ${changes(query)} LIMIT ?)`;
    return this.#sql<{ count: number }>(text).get(...changeValues(query), limit)?.count ?? 0;
  }

  members({ n }: StoredWorkflow): readonly StoredTask[] {
    return this.#tasks("workflow = ?", n);
  }

  memberIds(id: string): readonly string[] {
    const text = "SELECT id FROM tasks WHERE n IN (SELECT task FROM workflow_tasks WHERE workflow = ?) ORDER BY n";
    return this.#sql<{ id: string }>(text)
      .all(keyOf(id))
      .map((row) => row.id);
  }

  membership({ n }: StoredTask): Membership | undefined {
    const text = "SELECT waits_for, counts_into, unresolved, abandoned, delay_ms FROM workflow_tasks WHERE task = ?";
    const row = this.#sql<MembershipRow>(text).get(n);
    if (!row) return undefined;
    const { waits_for: waitsFor, counts_into: countsInto, delay_ms: delayMs } = row;
    return { waitsFor, countsInto, delayMs, unresolved: row.unresolved === 1, abandoned: row.abandoned === 1 };
  }

  setMembership({ n }: StoredTask, { unresolved, abandoned }: Partial<Pick<Membership, "unresolved" | "abandoned">>): void {
    const value = (flag: boolean | undefined): number | null => (flag === undefined ? null : Number(flag));
    this.#sql(
      "UPDATE workflow_tasks SET unresolved = ifnull(?, unresolved), abandoned = ifnull(?, abandoned) WHERE task = ?",
    ).run(value(unresolved), value(abandoned), n);
  }

  joint(joint: number): Joint {
    return found(this.#sql<Joint>("SELECT pending, bad FROM workflow_joints WHERE n = ?").get(joint), joint);
  }

  countInto(joint: number, pending: number, bad: number): Joint {
    const text = "UPDATE workflow_joints SET pending = pending + ?, bad = bad + ? WHERE n = ? RETURNING pending, bad";
    return found(this.#sql<Joint>(text).get(pending, bad, joint), joint);
  }

  waitersOf(joint: number): readonly StoredTask[] {
    return this.#tasks("waits_for = ? AND waits_for IS NOT NULL", joint);
  }

  endOf({ n }: StoredWorkflow): number {
    return this.#sql<{ n: number }>("SELECT max(n) AS n FROM workflow_joints WHERE workflow = ?").get(n)?.n ?? 0;
  }

  valueOf(joint: number): Shape<number> {
    const text = this.#sql<{ value: string }>("SELECT value FROM workflow_joints WHERE n = ?").get(joint)?.value ?? "[]";
    return JSON.parse(text) as Shape<number>;
  }

  resultBytes(task: number): number {
    return (
      this.#sql<{ bytes: number | null }>("SELECT octet_length(result) AS bytes FROM tasks WHERE n = ?").get(task)?.bytes ?? 0
    );
  }

  result(task: number): string | null {
    return this.#sql<{ result: string | null }>("SELECT result FROM tasks WHERE n = ?").get(task)?.result ?? null;
  }

  #workflows(rest: string, ...values: (string | number)[]): StoredWorkflow[] {
    const rows = this.#sql<WorkflowRow>(`SELECT ${WORKFLOW_COLUMNS} FROM workflows ${rest}`).all(...values);
    return rows.map((row) => toWorkflow(row, this.#read.ownerId(row.owner)));
  }

  #tasks(condition: string, value: number): StoredTask[] {
    const text = `SELECT ${COLUMNS} FROM tasks WHERE n IN (SELECT task FROM workflow_tasks WHERE ${condition}) ORDER BY n`;
    return this.#sql<TaskRow>(text)
      .all(value)
      .map((row) => this.#read.task(row));
  }
}

function found(joint: Joint | null, key: number): Joint {
  if (!joint) throw new Error(`there is no joint ${key}`);
  return joint;
}

function keyOf(id: string): number {
  const n = keyOfId(id);
  if (n === undefined) throw new Error(`"${id}" is no id of this service`);
  return n;
}

const byKey = (value: Shape<string>): Shape<number> => (typeof value === "string" ? keyOf(value) : value.map(byKey));

/** Everybody's are found owner by owner, each by the same index. */
const changes = ({ owner }: WorkflowChangeQuery): string =>
  `INDEXED BY workflows_owner_seq WHERE seq > ? AND seq <= ? AND owner ${owner === undefined ? "IN (SELECT n FROM accounts)" : "= ?"}`;

const changeValues = ({ after, upTo, owner }: WorkflowChangeQuery): number[] => [
  after,
  upTo,
  ...(owner === undefined ? [] : [owner]),
];
