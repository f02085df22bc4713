import { PRIORITIES } from "../../domain/task.ts";
import type { Lane } from "../../ports/tasks.ts";
import type { Prepared } from "./prepared.ts";

/** More lanes than this are read again when needed, so that memory does not grow with the number of users. */
const REMEMBERED = 50_000;

interface LaneRow {
  n: number;
  owner: number;
  queue: string;
  name: string;
  priority: number;
}

/** The lanes as rows, each a small integer: that is what tasks and their indexes hold. */
export class LaneRows {
  readonly #sql: Prepared;
  readonly #keys = new Map<string, number>();
  readonly #lanes = new Map<number, Lane>();

  constructor(sql: Prepared) {
    this.#sql = sql;
  }

  /** The key of a lane, which is made where it is missing. */
  keyOf(lane: Lane): number {
    const text = `${lane.owner}\n${lane.priority}\n${lane.queue}\n${lane.name}`;
    const known = this.#keys.get(text);
    if (known !== undefined) return known;
    const { owner, queue, name } = lane;
    const values = [owner, queue, name, PRIORITIES.indexOf(lane.priority)];
    const found = this.#sql<{ n: number }>("SELECT n FROM lanes WHERE owner = ? AND queue = ? AND name = ? AND priority = ?").get(
      ...values,
    );
    const key =
      found?.n ??
      Number(this.#sql("INSERT INTO lanes (owner, queue, name, priority) VALUES (?,?,?,?)").run(...values).lastInsertRowid);
    this.#remember(key, { owner, queue, name, priority: lane.priority });
    this.#keys.set(text, key);
    return key;
  }

  get(key: number): Lane {
    const known = this.#lanes.get(key);
    if (known) return known;
    const row = this.#sql<LaneRow>("SELECT n, owner, queue, name, priority FROM lanes WHERE n = ?").get(key);
    if (!row) throw new Error(`there is no lane ${key}`);
    return this.#remember(key, {
      owner: row.owner,
      queue: row.queue,
      name: row.name,
      priority: PRIORITIES[row.priority] ?? "normal",
    });
  }

  /** A transaction was rolled back: lanes made in it are not there. */
  forget(): void {
    this.#keys.clear();
    this.#lanes.clear();
  }

  #remember(key: number, lane: Lane): Lane {
    if (this.#lanes.size >= REMEMBERED) this.forget();
    this.#lanes.set(key, lane);
    return lane;
  }
}
