import type { TaskPolicy } from "../domain/definition.ts";
import { NotFound } from "../domain/errors.ts";
import type { BrokerHub } from "../ports/broker.ts";
import type { Pause, PauseStore } from "../ports/pauses.ts";
import type { Clock } from "../ports/runtime.ts";
import type { UnitOfWork } from "../ports/tasks.ts";
import type { Dispatcher } from "./dispatcher.ts";
import type { Window } from "./window.ts";

/** Jobs of one user that wait in the broker though none of them may begin. */
const AHEAD = 8;

type Target = Pick<Pause, "kind" | "name">;

interface Parts {
  readonly store: PauseStore;
  readonly work: UnitOfWork;
  readonly hub: Pick<BrokerHub, "restrain">;
  readonly window: Pick<Window, "restrain" | "queues">;
  readonly dispatcher: Pick<Dispatcher, "feed">;
  /** What is on offer now. */
  readonly policies: () => readonly TaskPolicy[];
  readonly clock: Clock;
}

/** What a queue holds of one task. */
export interface QueueTask {
  readonly name: string;
  /** Queued, of all owners. */
  readonly queued: number;
  readonly paused: boolean;
}

export interface QueueView {
  readonly queue: string;
  readonly paused: boolean;
  readonly tasks: readonly QueueTask[];
}

/**
 * Tasks and queues that are paused, and the limits of tasks. Rows say what is paused; the broker enforces it, with the limits, for
 * all workers; the window makes room for what is not.
 */
export class Pauses {
  readonly #parts: Parts;
  #paused = new Set<string>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Reads what is stored; before anything is dispatched. */
  load(): void {
    this.#paused = new Set(this.#parts.store.all().map(keyOf));
    this.renew();
  }

  /** The definitions, and with them the limits, have changed. */
  renew(): void {
    const { hub, window, dispatcher, policies } = this.#parts;
    const limits = policies().filter(({ concurrency, perUser, rate }) => concurrency ?? perUser ?? rate);
    const perUser = new Map(limits.map((policy) => [policy.name, policy.perUser]));
    window.restrain((lane) => (this.why(lane) === undefined ? aheadOf(perUser.get(lane.name)) : 0));
    const named = (kind: Pause["kind"]) => [...this.#paused].flatMap((key) => (key.startsWith(kind) ? [nameOf(key)] : []));
    // Where the broker is away it is told when it is back.
    void hub.restrain({ limits, pausedTasks: named("task"), pausedQueues: named("queue") });
    dispatcher.feed();
  }

  has(target: Target): boolean {
    return this.#paused.has(keyOf(target));
  }

  /** Why a task is not taken, in one line for its owner; undefined: it is not paused. */
  why({ name, queue }: { readonly name: string; readonly queue: string }): string | undefined {
    if (this.has({ kind: "task", name })) return `the task "${name}" is paused`;
    return this.has({ kind: "queue", name: queue }) ? `the queue "${queue}" is paused` : undefined;
  }

  /** Idempotent. What runs goes on. @throws NotFound `unknown_task`, `unknown_queue` */
  async pause(target: Target): Promise<void> {
    this.#find(target);
    const { store, work, clock } = this.#parts;
    await work.grouped(() => store.add({ ...target, since: clock.now() }));
    this.#paused.add(keyOf(target));
    this.renew();
  }

  /** Idempotent. @throws NotFound `unknown_task`, `unknown_queue` */
  async resume(target: Target): Promise<void> {
    this.#find(target);
    const { store, work } = this.#parts;
    await work.grouped(() => store.remove(target));
    this.#paused.delete(keyOf(target));
    this.renew();
  }

  /** Every queue that a task on offer has, that holds tasks, or that is paused, by name. */
  queues(): readonly QueueView[] {
    const counts = this.#parts.window.queues();
    for (const { queue, name } of this.#parts.policies()) {
      const tasks = counts.get(queue) ?? new Map<string, number>();
      if (!tasks.has(name)) tasks.set(name, 0);
      counts.set(queue, tasks);
    }
    for (const key of this.#paused) if (key.startsWith("queue") && !counts.has(nameOf(key))) counts.set(nameOf(key), new Map());
    const byName = (a: readonly [string, unknown], b: readonly [string, unknown]): number => (a[0] < b[0] ? -1 : 1);
    return [...counts].sort(byName).map(([queue, tasks]) => ({
      queue,
      paused: this.has({ kind: "queue", name: queue }),
      tasks: [...tasks].sort(byName).map(([name, queued]) => ({ name, queued, paused: this.has({ kind: "task", name }) })),
    }));
  }

  /** What is paused may be resumed though nothing of its name is left. */
  #find(target: Target): void {
    if (this.has(target)) return;
    const { kind, name } = target;
    const known = this.queues().some(({ queue, tasks }) =>
      kind === "queue" ? queue === name : tasks.some((task) => task.name === name),
    );
    if (!known) throw new NotFound(`unknown_${kind}`, `there is no ${kind} "${name}"`);
  }
}

/** Of a task that each user may run so many of, no more wait in the broker than come next: the others there are to have room. */
const aheadOf = (perUser: number | undefined): number | undefined => perUser && 2 * perUser + AHEAD;

const keyOf = ({ kind, name }: Target): string => `${kind} ${name}`;
const nameOf = (key: string): string => key.slice(key.indexOf(" ") + 1);
