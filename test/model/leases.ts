import { expect } from "bun:test";
import { type BrokerEvent, type JobRef, LEASE_MS, type Outcome } from "../../src/ports/broker.ts";

/** What happened to one dispatch of one task. */
interface Dispatch {
  worker: string;
  claims: number;
  /** Kinds of the outcomes that the broker has taken. */
  readonly taken: string[];
  /** Kinds of the outcomes that the recorder has stored. */
  readonly stored: string[];
  /** Its worker has been silent for longer than a lease while it held it. */
  silent: boolean;
  /** The broker has forgotten it, so it may run and end more than once. */
  doubtful: boolean;
  /** Its owner has asked for the task once more, which was cancelled before it was known to run. */
  replaced: boolean;
}

const keyOf = ({ id, fence }: JobRef): string => `${id} ${fence}`;

/** Who may hold what, as far as it can be told from outside: that nothing runs twice without a reason. */
export class Leases {
  readonly #dispatches = new Map<string, Dispatch>();
  readonly #beats = new Map<string, number>();
  /** The broker has forgotten what it knew, and the node has not fed it again. */
  #inDoubt = false;

  claimed(worker: string, ref: JobRef, now: number): void {
    const dispatch = this.#of(ref);
    if (!dispatch.doubtful) expect(dispatch.claims, `claims of ${keyOf(ref)}`).toBe(0);
    dispatch.claims += 1;
    dispatch.worker = worker;
    this.spoke(worker, now);
  }

  spoke(worker: string, now: number): void {
    this.#beats.set(worker, now);
  }

  /** Time has passed. */
  look(now: number): void {
    for (const dispatch of this.#dispatches.values()) {
      if (now - (this.#beats.get(dispatch.worker) ?? now) > LEASE_MS) dispatch.silent = true;
    }
  }

  /** The broker has forgotten everything. */
  forget(): void {
    for (const dispatch of this.#dispatches.values()) dispatch.doubtful = true;
    this.#inDoubt = true;
  }

  /** What it lacked it has been sent. */
  fed(): void {
    this.#inDoubt = false;
  }

  replaced(ref: JobRef): void {
    this.#of(ref).replaced = true;
  }

  settled(ref: Outcome, taken: boolean): void {
    const dispatch = this.#of(ref);
    if (!taken) return this.expectLost(ref);
    dispatch.taken.push(ref.kind);
    if (!dispatch.doubtful) expect(dispatch.taken, `outcomes taken of ${keyOf(ref)}`).toHaveLength(1);
  }

  /** That a worker is told that it has lost a lease has a reason. */
  expectLost(ref: JobRef): void {
    const { silent, doubtful, replaced } = this.#of(ref);
    expect(silent || doubtful || replaced, `a reason why ${keyOf(ref)} is lost`).toBe(true);
  }

  /** That it is taken for lost has one: the broker's forgetting is none, where the worker speaks. */
  expectSilent(ref: JobRef): void {
    expect(this.#of(ref), `silence of ${keyOf(ref)}`).toMatchObject({ silent: true });
  }

  stored(event: BrokerEvent): void {
    if (event.kind === "started" || event.kind === "log") return;
    const dispatch = this.#of(event);
    if (event.kind === "lost") this.expectSilent(event);
    dispatch.stored.push(event.kind);
    if (!dispatch.doubtful) expect(dispatch.stored, `outcomes stored of ${keyOf(event)}`).toHaveLength(1);
  }

  /** Everything has been recorded: whatever was taken took effect, once. */
  expectAllStored(): void {
    for (const [key, { doubtful, taken, stored }] of this.#dispatches) {
      if (!doubtful && taken.length > 0) expect(stored, `outcomes stored of ${key}`).toEqual(taken);
    }
  }

  #of(ref: JobRef): Dispatch {
    const key = keyOf(ref);
    let dispatch = this.#dispatches.get(key);
    if (!dispatch) {
      dispatch = { worker: "", claims: 0, taken: [], stored: [], silent: false, doubtful: false, replaced: false };
      this.#dispatches.set(key, dispatch);
    }
    dispatch.doubtful ||= this.#inDoubt;
    return dispatch;
  }
}
