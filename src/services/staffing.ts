import type { Task } from "../domain/task.ts";
import type { BrokerHub, WorkerView } from "../ports/broker.ts";
import type { Clock } from "../ports/runtime.ts";
import type { Pauses } from "./pauses.ts";

/** What is known of the workers is good for so long, in milliseconds. */
const FRESH_MS = 1_000;

/** Says why a queued task may have to wait for longer than its turn: it is paused, or no worker that lives takes it. */
export class Staffing {
  readonly #hub: Pick<BrokerHub, "workers">;
  readonly #pauses: Pick<Pauses, "why">;
  readonly #clock: Clock;
  #workers: Promise<readonly WorkerView[]> | undefined;
  #askedAt = 0;

  constructor(hub: Pick<BrokerHub, "workers">, pauses: Pick<Pauses, "why">, clock: Clock) {
    this.#hub = hub;
    this.#pauses = pauses;
    this.#clock = clock;
  }

  /** @returns one line for the task's owner; undefined: a worker takes it, or nobody knows */
  async whyWaiting({ status, name, queue }: Pick<Task, "status" | "name" | "queue">): Promise<string | undefined> {
    if (status !== "queued") return undefined;
    return this.#pauses.why({ name, queue }) ?? (await this.whyUnserved({ name, queue }));
  }

  /** Why no worker takes a task of this name from this queue; undefined: one does, or nobody knows. */
  async whyUnserved({ name, queue }: Pick<Task, "name" | "queue">): Promise<string | undefined> {
    const workers = await this.#known();
    if (workers === undefined) return undefined;
    if (workers.length === 0) return "no worker is there";
    const able = workers.filter(({ tasks }) => tasks.includes(name));
    if (able.length === 0) return `no worker has the task "${name}"`;
    return able.some(({ queues }) => queues?.includes(queue) ?? true)
      ? undefined
      : `no worker that has it serves the queue "${queue}"`;
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
