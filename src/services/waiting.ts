import type { TaskLimits } from "../domain/limits.ts";
import type { BrokerHub, LimitUse } from "../ports/broker.ts";
import type { Clock } from "../ports/runtime.ts";
import type { StoredTask } from "../ports/tasks.ts";
import type { Pauses, QueueTask, QueueView } from "./pauses.ts";
import type { Busy, Staffing } from "./staffing.ts";
import type { Window } from "./window.ts";

interface Parts {
  readonly hub: Pick<BrokerHub, "trouble" | "limitUse">;
  readonly pauses: Pick<Pauses, "why">;
  readonly staffing: Pick<Staffing, "whyUnserved" | "whoIsBusy">;
  readonly window: Pick<Window, "queues" | "queuedIn">;
  /** Of a task on offer. */
  readonly limitsOf: (name: string) => TaskLimits | undefined;
  /** An account's key by its id; undefined: there is none. */
  readonly ownerOf: (id: string) => number | undefined;
  readonly clock: Clock;
}

/** How far a task is at its limits, in all queues. */
export interface LimitState extends Pick<TaskLimits, "concurrency" | "perUser"> {
  /** How many run; undefined: it has neither of those limits. */
  readonly running: number | undefined;
  /** Users who have as many running as one may. */
  readonly usersAtLimit: number;
  /** Of the tasks that this queue holds those of such users. */
  readonly queuedOfThose: number;
  /** When its rate lets the next one begin, milliseconds since 1970 UTC; undefined: now. */
  readonly nextStartAt: number | undefined;
}

export interface WaitingTask extends QueueTask {
  /** Why they wait, in one line; undefined: workers take them, none waits, or nobody knows. */
  readonly waiting: string | undefined;
  /** Undefined: it has no limits, or nobody knows. */
  readonly limits: LimitState | undefined;
}

export interface WaitingQueue extends QueueView {
  /** Queued, of all tasks and owners. */
  readonly queued: number;
  readonly tasks: readonly WaitingTask[];
}

/**
 * Says why queued tasks wait: what is paused, which workers are there and busy, and which limits are reached. It reads what is
 * there already, and only when somebody asks.
 */
export class Waiting {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** @returns one line for the task's owner; undefined: it does not wait, a worker is about to take it, or nobody knows */
  async why(task: StoredTask): Promise<string | undefined> {
    if (task.status !== "queued") return undefined;
    return (await this.#obstacle(task)) ?? (await this.#limit(task)) ?? (await this.#turn(task));
  }

  /** Adds to queues why their tasks wait. */
  async explain(queues: readonly QueueView[]): Promise<readonly WaitingQueue[]> {
    const names = queues.flatMap(({ tasks }) => tasks.map(({ name }) => name));
    const states = await this.#states([...new Set(names)]);
    return await Promise.all(
      queues.map(async ({ tasks, ...queue }) => ({
        ...queue,
        queued: tasks.reduce((sum, { queued }) => sum + queued, 0),
        tasks: await Promise.all(tasks.map((task) => this.#explainTask(task, queue.queue, states(task.name, queue.queue)))),
      })),
    );
  }

  /** What keeps all tasks of a name in a queue from workers. */
  async #obstacle(kind: { readonly name: string; readonly queue: string }): Promise<string | undefined> {
    const { pauses, hub, staffing } = this.#parts;
    const paused = pauses.why(kind);
    if (paused !== undefined) return paused;
    return hub.trouble() === undefined ? await staffing.whyUnserved(kind) : "the broker is out of reach";
  }

  async #limit({ name, ownerId }: StoredTask): Promise<string | undefined> {
    const limits = this.#parts.limitsOf(name);
    if (!limits) return undefined;
    const [use] = await this.#use([name], ownerId);
    if (!use) return undefined;
    const own = use.byOwner.get(ownerId) ?? 0;
    const { perUser = Number.POSITIVE_INFINITY } = limits;
    const reasons = reached(limits, use, this.#parts.clock.now());
    if (own >= perUser) reasons.push(`its owner has as many of the task "${name}" running as one user may: ${own} of ${perUser}`);
    return sentence(reasons);
  }

  async #turn(task: StoredTask): Promise<string | undefined> {
    const busy = await this.#parts.staffing.whoIsBusy(task);
    if (!busy) return undefined;
    const queued = this.#parts.window.queuedIn(task);
    const others = queued > 1 ? `; its owner has ${queued} of it queued` : "";
    return `its turn has not come: ${busyText(busy, "it")}${others}`;
  }

  async #explainTask(task: QueueTask, queue: string, known: Known | undefined): Promise<WaitingTask> {
    const kind = { name: task.name, queue };
    const obstacle = await this.#obstacle(kind);
    if (obstacle !== undefined || task.queued === 0) return { ...task, waiting: obstacle, limits: known?.state };
    const limit = known && sentence(known.reasons(task.queued));
    if (limit !== undefined) return { ...task, waiting: limit, limits: known?.state };
    const busy = await this.#parts.staffing.whoIsBusy(kind);
    return { ...task, waiting: busy && busyText(busy, "them"), limits: known?.state };
  }

  /** @returns what is known of the limits of each of these tasks, by its name and a queue */
  async #states(names: readonly string[]): Promise<(name: string, queue: string) => Known | undefined> {
    const { limitsOf, window, clock } = this.#parts;
    const uses = await this.#use(names.filter((name) => limitsOf(name) !== undefined));
    const known = new Map(uses.map((use) => [use.name, { use, full: this.#full(use) }]));
    const anyFull = [...known.values()].some(({ full }) => full.size > 0);
    const held = anyFull ? window.queues(({ name, owner }) => known.get(name)?.full.has(owner) ?? false) : undefined;
    return (name, queue) => {
      const found = known.get(name);
      const limits = limitsOf(name);
      if (!found || !limits) return undefined;
      return knownOf(limits, found.use, found.full.size, held?.get(queue)?.get(name) ?? 0, clock.now());
    };
  }

  /** The keys of the owners who have as many of a task running as one may. */
  #full({ name, byOwner }: LimitUse): ReadonlySet<number> {
    const most = this.#parts.limitsOf(name)?.perUser ?? Number.POSITIVE_INFINITY;
    return new Set([...byOwner].flatMap(([id, count]) => (count >= most ? (this.#parts.ownerOf(id) ?? []) : [])));
  }

  /** None where the broker cannot be asked. */
  async #use(names: readonly string[], owner?: string): Promise<readonly LimitUse[]> {
    return names.length === 0 ? [] : await this.#parts.hub.limitUse(names, owner).catch(() => []);
  }
}

interface Known {
  readonly state: LimitState;
  /** @param queued how many of it wait */
  reasons(queued: number): readonly string[];
}

function knownOf(limits: TaskLimits, use: LimitUse, usersAtLimit: number, queuedOfThose: number, now: number): Known {
  const { concurrency, perUser } = limits;
  const counts = concurrency !== undefined || perUser !== undefined;
  const nextStartAt = use.tokenInMs > 0 ? now + use.tokenInMs : undefined;
  const state = { concurrency, perUser, running: counts ? use.running : undefined, usersAtLimit, queuedOfThose, nextStartAt };
  const users = `of users who have as many running as one may: ${perUser}`;
  return {
    state,
    reasons: (queued) => [
      ...reached(limits, use, now),
      ...(queuedOfThose > 0 ? [`${Math.min(queued, queuedOfThose)} of ${queued} queued are ${users}`] : []),
    ],
  };
}

/** The limits that hold everybody's tasks back. */
function reached({ concurrency = Number.POSITIVE_INFINITY }: TaskLimits, use: LimitUse, now: number): string[] {
  const { name, running, tokenInMs, countedInMs } = use;
  const reasons: string[] = [];
  if (countedInMs > 0) reasons.push(`what runs of the task "${name}" is counted anew, as the broker has lost its data`);
  if (running >= concurrency) reasons.push(`the task "${name}" has reached its limit: ${running} of ${concurrency} run`);
  if (tokenInMs > 0) {
    reasons.push(`the task "${name}" has used up its rate: the next one begins at ${new Date(now + tokenInMs).toISOString()}`);
  }
  return reasons;
}

const sentence = (reasons: readonly string[]): string | undefined => (reasons.length === 0 ? undefined : reasons.join("; "));

function busyText({ workers, running }: Busy, taken: "it" | "them"): string {
  const who = workers === 1 ? `the worker that takes ${taken} runs` : `the ${workers} workers that take ${taken} run`;
  return `${who} ${running} ${running === 1 ? "task" : "tasks"} now`;
}
