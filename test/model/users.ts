import { expect } from "bun:test";
import { isTerminal } from "../../src/domain/task.ts";
import type { Caller } from "../../src/services/tasks.ts";
import { ADMIN, ANNA, BEN } from "../support/core.ts";
import type { Known } from "./model.ts";
import { ATTEMPTS, callerAt, type Scene } from "./scene.ts";
import type { By, Input, StepOf } from "./steps.ts";

const INPUTS: Readonly<Record<Input, object>> = { small: { x: 1 }, other: { x: 2 }, large: { text: "x".repeat(1_400) } };

/** Those who submit tasks, and ask for their own and for others'. */
export class Users {
  readonly #scene: Scene;

  constructor(scene: Scene) {
    this.#scene = scene;
  }

  async submit({ owner, name, input, delayMs, priority, key }: StepOf<"submit">): Promise<void> {
    const { core, model } = this.#scene;
    const caller = callerAt(owner);
    const args = JSON.stringify(INPUTS[input]);
    const earlier = model.tasks.find((task) => key !== null && task.key === key && task.owner === caller && task.name === name);
    const options = { delayMs, priority, ...(key === null ? {} : { idempotencyKey: key }) };
    const got = await answer(core.tasks.submit(caller, name, structuredClone(INPUTS[input]), options).then(({ id }) => id));
    if (earlier) return expect(got).toBe(earlier.args === args ? earlier.id : "idempotency_conflict");
    if (model.isFull(caller, 1)) return expect(got).toBe("queue_full");
    this.#accept(got, { owner, name, input, key, delayMs });
  }

  async batch({ owner, name, count, input }: StepOf<"batch">): Promise<void> {
    const { core, model } = this.#scene;
    const inputs = Array.from({ length: count }, () => structuredClone(INPUTS[input]));
    const submitted = core.tasks.submitBatch(callerAt(owner), name, inputs);
    const got = await answer(submitted.then((tasks) => tasks.map(({ id }) => id).join(" ")));
    if (model.isFull(callerAt(owner), count)) return expect(got).toBe("queue_full");
    for (const id of got.split(" ")) this.#accept(id, { owner, name, input, key: null, delayMs: 0 });
  }

  async cancel({ pick, by }: StepOf<"cancel">): Promise<void> {
    const { core, model, clock } = this.#scene;
    const task = model.at(pick);
    if (!task) return;
    const got = await answer(core.tasks.cancel(callerOf(by, task), task.id).then(({ id }) => id));
    if (by === "stranger") return expect(got).toBe("task_not_found");
    if (isTerminal(task.status)) return expect(got).toBe("task_ended");
    expect(got).toBe(task.id);
    model.cancel(task, clock.now());
  }

  async retry({ pick, by }: StepOf<"retry">): Promise<void> {
    const { core, model, leases } = this.#scene;
    const task = model.at(pick);
    if (!task) return;
    const got = await answer(core.tasks.retry(callerOf(by, task), task.id).then(({ id }) => id));
    if (by === "stranger") return expect(got).toBe("task_not_found");
    if (task.status !== "failed" && task.status !== "cancelled") return expect(got).toBe("task_not_ended");
    if (model.isFull(task.owner, 1)) return expect(got).toBe("queue_full");
    expect(got).toBe(task.id);
    leases.replaced(task);
    model.retry(task);
  }

  /** What is somebody else's is not there. */
  expectPrivate(): void {
    const { core, model } = this.#scene;
    for (const caller of [ANNA, BEN]) {
      const own = model.tasks.filter(({ owner }) => owner === caller).map(({ id }) => id);
      const listed = core.tasks.list(caller, { limit: 200, owner: "all" }).items.map(({ id }) => id);
      expect(listed).toEqual([...own].reverse());
      for (const { id } of model.tasks) if (!own.includes(id)) expect(() => core.tasks.show(caller, id)).toThrow("no such task");
    }
  }

  #accept(id: string, of: Pick<StepOf<"submit">, "owner" | "name" | "input" | "key" | "delayMs">): void {
    const { model, clock } = this.#scene;
    const { owner, name, input, key, delayMs } = of;
    const args = JSON.stringify(INPUTS[input]);
    model.accept({ id, owner: callerAt(owner), name, args, key, maxAttempts: ATTEMPTS[name] ?? 0 }, delayMs, clock.now());
  }
}

function callerOf(by: By, { owner }: Known): Caller {
  if (by === "owner") return owner;
  if (by === "admin") return ADMIN;
  return owner === ANNA ? BEN : ANNA;
}

/** What a call answers, or the code of its error. */
const answer = (call: Promise<string>): Promise<string> => call.catch((error: { code: string }) => error.code);
