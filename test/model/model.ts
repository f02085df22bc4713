import { isTerminal, type Status } from "../../src/domain/task.ts";
import type { BrokerEvent } from "../../src/ports/broker.ts";
import type { Caller } from "../../src/services/tasks.ts";

export interface Limits {
  readonly total: number;
  readonly perOwner: number;
}

/** A task as its owner may expect it to be. */
export interface Known {
  readonly id: string;
  readonly owner: Caller;
  readonly name: string;
  readonly args: string;
  readonly key: string | null;
  readonly maxAttempts: number;
  readonly createdAt: number;
  status: Status;
  attempt: number;
  deaths: number;
  cancelRequested: boolean;
  runAt: number;
  endedAt: number;
  /** Dispatches so far. */
  fence: number;
  /** Queued, and not dispatched since. */
  waiting: boolean;
  /** What its owner has to be told, in order. */
  readonly told: Status[];
}

/** The whole middle as one list: what becomes of tasks, said once more as plainly as it goes. */
export class Model {
  readonly tasks: Known[] = [];
  readonly #limits: Limits;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  get(id: string): Known | undefined {
    return this.tasks.find((task) => task.id === id);
  }

  at(index: number): Known | undefined {
    return this.tasks[index % Math.max(1, this.tasks.length)];
  }

  open(owner?: Caller): Known[] {
    return this.tasks.filter((task) => !isTerminal(task.status) && (owner === undefined || task.owner === owner));
  }

  isFull(owner: Caller, count: number): boolean {
    return this.open().length + count > this.#limits.total || this.open(owner).length + count > this.#limits.perOwner;
  }

  accept(of: Pick<Known, "id" | "owner" | "name" | "args" | "key" | "maxAttempts">, delayMs: number, now: number): void {
    const task: Known = {
      ...of,
      createdAt: now,
      status: "scheduled",
      attempt: 1,
      deaths: 0,
      cancelRequested: false,
      runAt: now + delayMs,
      endedAt: 0,
      fence: 0,
      waiting: false,
      told: [],
    };
    this.tasks.push(task);
    if (delayMs > 0) task.told.push("scheduled");
    else this.#queue(task);
  }

  cancel(task: Known, now: number): void {
    task.cancelRequested = true;
    if (task.status === "in progress") task.told.push("in progress");
    else this.#end(task, "cancelled", now);
  }

  retry(task: Known): void {
    Object.assign(task, { attempt: 1, deaths: 0, cancelRequested: false });
    this.#queue(task);
  }

  /** @returns how many have come due */
  tick(now: number): number {
    const due = this.tasks.filter(({ status, runAt }) => (status === "scheduled" || status === "retrying") && runAt <= now);
    for (const task of due) {
      if (task.status === "retrying") task.attempt += 1;
      this.#queue(task);
    }
    return due.length;
  }

  /** What the recorder has stored. */
  record(event: BrokerEvent): void {
    const task = this.get(event.id);
    if (!task || task.waiting || task.fence !== event.fence) return;
    if (task.status !== "queued" && task.status !== "in progress") return;
    switch (event.kind) {
      case "started":
        if (task.status === "queued") this.#become(task, "in progress");
        return;
      case "done":
        return this.#end(task, "done", event.at);
      case "cancelled":
        task.cancelRequested = true;
        return this.#end(task, "cancelled", event.at);
      case "failed":
        if (task.cancelRequested) return this.#end(task, "cancelled", event.at);
        if (event.retryInMs === null || task.attempt === task.maxAttempts) return this.#end(task, "failed", event.at);
        task.runAt = event.at + event.retryInMs;
        return this.#become(task, "retrying");
      case "released":
        return this.lose(task, event.at);
      case "lost":
        return this.orphan(task, event.at);
      case "suspected":
        return this.#suspect(task, event.at);
    }
  }

  /** It goes back at no cost. */
  lose(task: Known, now: number): void {
    if (task.cancelRequested) this.#end(task, "cancelled", now);
    else this.#queue(task);
  }

  /** Its process is gone; the first time it may have been its own fault. */
  orphan(task: Known, now: number): void {
    if (task.deaths === 0) this.#suspect(task, now);
    else this.lose(task, now);
  }

  /** What ended before goes. @returns how many tasks */
  purge(before: number): number {
    const old = this.tasks.filter((task) => isTerminal(task.status) && task.createdAt < before && task.endedAt < before);
    for (const task of old) this.tasks.splice(this.tasks.indexOf(task), 1);
    return old.length;
  }

  #suspect(task: Known, now: number): void {
    task.deaths += 1;
    if (task.deaths === 3 && !task.cancelRequested) this.#end(task, "failed", now);
    else this.lose(task, now);
  }

  #queue(task: Known): void {
    this.#become(task, "queued");
    task.waiting = true;
  }

  #end(task: Known, status: Status, now: number): void {
    this.#become(task, status);
    task.endedAt = now;
  }

  #become(task: Known, status: Status): void {
    task.status = status;
    task.waiting = false;
    task.told.push(status);
  }
}
