import { expect } from "bun:test";
import { isTerminal } from "../../src/domain/task.ts";
import type { Job, JobRef, Outcome } from "../../src/ports/broker.ts";
import { ATTEMPTS, type Scene } from "./scene.ts";
import type { How, StepOf } from "./steps.ts";

/** The next attempt comes after this long, in milliseconds. */
const RETRY_MS = 3_000;

interface Worker {
  name: string;
  held: Job[];
}

/** The workers. What one of them has claimed it holds until it settles it, whatever has become of its lease. */
export class Floor {
  readonly #workers: readonly Worker[] = ["w", "v", "u"].map((name) => ({ name, held: [] }));
  readonly #scene: Scene;
  #deaths = 0;

  constructor(scene: Scene) {
    this.#scene = scene;
  }

  async claim({ worker: index, max, alone }: StepOf<"claim">): Promise<void> {
    const { wire, leases, clock } = this.#scene;
    const worker = this.#at(index);
    const jobs = await wire.claim({ worker: worker.name, max, tasks: Object.keys(ATTEMPTS), alone });
    for (const job of jobs) {
      leases.claimed(worker.name, job, clock.now());
      this.#expectToRun(job);
    }
    worker.held.push(...jobs);
  }

  /** Everything in all hands. */
  get held(): readonly { readonly worker: Worker; readonly job: Job }[] {
    return this.#workers.flatMap((worker) => worker.held.map((job) => ({ worker, job })));
  }

  async settle({ pick, how }: StepOf<"settle">): Promise<void> {
    const { wire, leases, clock } = this.#scene;
    const { held } = this;
    const settled = held[pick % Math.max(1, held.length)];
    if (!settled) return;
    const { worker, job } = settled;
    worker.held.splice(worker.held.indexOf(job), 1);
    const outcome = outcomeOf(job, how, clock.now());
    const [result] = await wire.settle(worker.name, [outcome]);
    leases.settled(outcome, result === "taken");
  }

  async heartbeat({ worker: index }: StepOf<"heartbeat">): Promise<void> {
    const { wire, leases, clock, model } = this.#scene;
    const worker = this.#at(index);
    const { cancelled, lost } = await wire.heartbeat(worker.name, worker.held);
    leases.spoke(worker.name, clock.now());
    for (const ref of lost) leases.expectLost(ref);
    for (const { id, fence } of worker.held.filter((job) => cancelled.includes(job.id))) {
      const task = model.get(id);
      const wanted = task?.fence === fence && !task.waiting && !task.cancelRequested && !isTerminal(task.status);
      expect(wanted, `${id} ${fence} is to run on`).toBe(false);
    }
    worker.held = worker.held.filter((job) => !lost.some(({ id, fence }) => id === job.id && fence === job.fence));
  }

  die({ worker }: StepOf<"die">): void {
    this.#deaths += 1;
    Object.assign(this.#at(worker), { name: `w${this.#deaths}`, held: [] });
  }

  /** All of them were part of the node that died. */
  dieWithNode(): void {
    for (const worker of this.#workers) worker.held = [];
  }

  holds({ id, fence }: JobRef): boolean {
    return this.held.some(({ job }) => job.id === id && job.fence === fence);
  }

  #expectToRun(job: Job): void {
    const { model, rough } = this.#scene;
    const task = model.get(job.id);
    if (task?.fence !== job.fence || isTerminal(task.status)) return expect({ job, task, rough }).toMatchObject({ rough: true });
    const { id, name, attempt, maxAttempts, args, owner, deaths } = task;
    expect(job).toMatchObject({ id, name, attempt, maxAttempts, args, owner: owner.id, alone: deaths > 0 });
  }

  #at(index: number): Worker {
    return this.#workers[index % this.#workers.length] as Worker;
  }
}

function outcomeOf({ id, fence }: Job, how: How, at: number): Outcome {
  const ref = { id, fence, at };
  const error = { code: "error", message: "it broke" };
  switch (how) {
    case "done":
      return { kind: "done", ...ref, result: "1" };
    case "fail":
    case "retry":
      return { kind: "failed", ...ref, error, retryInMs: how === "retry" ? RETRY_MS : null };
    default:
      return { kind: how, ...ref };
  }
}
