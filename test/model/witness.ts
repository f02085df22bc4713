import { expect } from "bun:test";
import { STATUSES, type Status } from "../../src/domain/task.ts";
import type { Known } from "./model.ts";
import type { Scene } from "./scene.ts";

const ROWS = "SELECT id, owner, status, attempt, deaths, cancel_requested, fence, dispatched FROM tasks ORDER BY n";

interface Row {
  readonly id: string;
  readonly owner: number;
  readonly status: number;
  readonly attempt: number;
  readonly deaths: number;
  readonly cancel_requested: number;
  readonly fence: number;
  readonly dispatched: number;
}

/** Looks at rows, counters and notices, and compares them with the model. */
export class Witness {
  readonly #scene: Scene;
  /** Of the living core's notices. */
  #heard = 0;
  #lastSeq = 0;
  readonly #told = new Map<string, Status[]>();

  constructor(scene: Scene) {
    this.#scene = scene;
  }

  /** Another node speaks from now on. */
  turn(): void {
    this.#heard = 0;
  }

  expectAgreement(): void {
    const { core, model } = this.#scene;
    const rows = core.db.query<Row, []>(ROWS).all();
    // The window's affair is when a task is dispatched; that its fence rises by one then, and only then, is the model's.
    for (const { id, dispatched } of rows) {
      const task = model.get(id);
      if (!task?.waiting || dispatched === 0) continue;
      task.waiting = false;
      task.fence += 1;
    }
    expect(rows).toEqual(model.tasks.map(rowOf));
    this.#expectCounts(rows);
    this.#hear();
  }

  #expectCounts(rows: readonly Row[]): void {
    const { core, model } = this.#scene;
    const queued = rows.filter(({ status }) => STATUSES[status] === "queued");
    const inBroker = queued.filter(({ dispatched }) => dispatched === 1).length;
    expect({ inBroker: core.window.inBroker, waiting: core.window.waiting, pending: core.quotas.total }).toEqual({
      inBroker,
      waiting: queued.length - inBroker,
      pending: model.open().length,
    });
  }

  /** Everybody is told of everything, in order, and of nothing else. */
  #hear(): void {
    const { core, model } = this.#scene;
    for (const { task } of core.notices.all.slice(this.#heard)) {
      expect(task.seq).toBeGreaterThan(this.#lastSeq);
      this.#lastSeq = task.seq;
      this.#told.set(task.id, [...(this.#told.get(task.id) ?? []), task.status]);
    }
    this.#heard = core.notices.all.length;
    for (const { id, told } of model.tasks) expect(this.#told.get(id)).toEqual(told);
  }
}

function rowOf({ id, owner, status, attempt, deaths, cancelRequested, fence, waiting }: Known): Row {
  const dispatched = (status === "queued" || status === "in progress") && !waiting;
  return {
    id,
    owner: owner.n,
    status: STATUSES.indexOf(status),
    attempt,
    deaths,
    cancel_requested: Number(cancelRequested),
    fence,
    dispatched: Number(dispatched),
  };
}
