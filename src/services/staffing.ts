import type { Task } from "../domain/task.ts";
import type { BrokerHub, WorkerView } from "../ports/broker.ts";
import type { Clock } from "../ports/runtime.ts";

/** What is known of the workers is good for so long, in milliseconds. */
const FRESH_MS = 1_000;

type Kind = Pick<Task, "name" | "queue">;

/** Workers that could take a task, but have work. */
export interface Busy {
  readonly workers: number;
  /** Tasks in their hands, of all kinds. */
  readonly running: number;
}

/** Knows which workers live, what they take and how much they have in hand. */
export class Staffing {
  readonly #hub: Pick<BrokerHub, "workers">;
  readonly #clock: Clock;
  #workers: Promise<readonly WorkerView[]> | undefined;
  #askedAt = 0;

  constructor(hub: Pick<BrokerHub, "workers">, clock: Clock) {
    this.#hub = hub;
    this.#clock = clock;
  }

  /** Why no worker takes a task of this name from this queue, in one line; undefined: one does, or nobody knows. */
  async whyUnserved({ name, queue }: Kind): Promise<string | undefined> {
    const workers = await this.#known();
    if (workers === undefined) return undefined;
    if (workers.length === 0) return "no worker is there";
    const able = workers.filter(({ tasks }) => tasks.includes(name));
    if (able.length === 0) return `no worker has the task "${name}"`;
    return able.some((worker) => serves(worker, queue)) ? undefined : `no worker that has it serves the queue "${queue}"`;
  }

  /** The workers that take a task of this name from this queue; undefined: one of them has an idle thread, or nobody knows. */
  async whoIsBusy({ name, queue }: Kind): Promise<Busy | undefined> {
    const workers = (await this.#known()) ?? [];
    const able = workers.filter((worker) => worker.tasks.includes(name) && serves(worker, queue));
    // Whether a thread with one task takes another beside it depends on what the task does: only an idle one surely does.
    if (able.length === 0 || able.some(({ running, threads }) => running < threads)) return undefined;
    return { workers: able.length, running: able.reduce((sum, { running }) => sum + running, 0) };
  }

  /** Undefined where the broker cannot be asked. */
  async #known(): Promise<readonly WorkerView[] | undefined> {
    const now = this.#clock.now();
    if (this.#workers === undefined || now - this.#askedAt > FRESH_MS) {
      this.#askedAt = now;
      this.#workers = this.#hub.workers();
    }
    return await this.#workers.catch(() => undefined);
  }
}

const serves = ({ queues }: WorkerView, queue: string): boolean => queues?.includes(queue) ?? true;
