import { PRIORITIES, type Priority } from "../../domain/task.ts";
import type { ClaimRequest, Job } from "../../ports/broker.ts";
import type { Restraint } from "./restraint.ts";

/** A job in its lane; taking it out before its turn only marks it. */
export interface Queued {
  readonly job: Job;
  removed: boolean;
}

/** First in, first out; both ends in constant time. */
class Fifo<T> {
  #items: T[] = [];
  #head = 0;

  get size(): number {
    return this.#items.length - this.#head;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  shift(): T | undefined {
    const item = this.#items[this.#head];
    if (item === undefined) return undefined;
    this.#head += 1;
    // Cut off what was taken once it is half of the array, so that each item is moved at most once on average.
    if (this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  keep(wanted: (item: T) => boolean): void {
    this.#items = this.#items.slice(this.#head).filter(wanted);
    this.#head = 0;
  }
}

/** One owner's jobs. What leaves before its turn leaves a hole; holes, which still hold inputs, never outnumber jobs. */
class Lane {
  readonly #jobs = new Fifo<Queued>();
  #holes = 0;

  get size(): number {
    return this.#jobs.size - this.#holes;
  }

  push(item: Queued): void {
    this.#jobs.push(item);
  }

  remove(item: Queued): void {
    item.removed = true;
    this.#holes += 1;
    if (this.#holes <= this.size) return;
    this.#jobs.keep((each) => !each.removed);
    this.#holes = 0;
  }

  shift(): Job | undefined {
    for (let item = this.#jobs.shift(); item; item = this.#jobs.shift()) {
      if (!item.removed) return item.job;
      this.#holes -= 1;
    }
    return undefined;
  }
}

/** The lanes of one (queue, task, priority): its owners stand in line and take turns, one job each. */
class Line {
  readonly queue: string;
  readonly name: string;
  readonly #lanes = new Map<string, Lane>();
  readonly #turns = new Fifo<string>();
  /** Owners who have as many running as they may: out of line until one of theirs ends. */
  readonly #parked = new Set<string>();

  constructor(queue: string, name: string) {
    this.queue = queue;
    this.name = name;
  }

  push(item: Queued): void {
    let lane = this.#lanes.get(item.job.owner);
    if (!lane) {
      lane = new Lane();
      this.#lanes.set(item.job.owner, lane);
      this.#turns.push(item.job.owner);
    }
    lane.push(item);
  }

  remove(item: Queued): void {
    this.#lanes.get(item.job.owner)?.remove(item);
  }

  /** The next owner's next job; the owner goes to the end of the line while it has more. */
  take(restraint: Restraint): Job | undefined {
    for (let owner = this.#turns.shift(); owner !== undefined; owner = this.#turns.shift()) {
      if (!restraint.admitsOwner({ name: this.name, owner })) {
        this.#parked.add(owner);
        continue;
      }
      const lane = this.#lanes.get(owner) as Lane;
      const job = lane.shift();
      if (lane.size > 0) this.#turns.push(owner);
      else this.#lanes.delete(owner);
      if (job) return job;
    }
    return undefined;
  }

  /** An owner stands in line again; undefined: all of them. */
  unpark(owner?: string): void {
    for (const each of owner === undefined ? [...this.#parked] : [owner]) {
      if (this.#parked.delete(each)) this.#turns.push(each);
    }
  }

  get empty(): boolean {
    return this.#lanes.size === 0;
  }
}

/**
 * Which priority has the next turn: high four times, normal twice, low once. A priority without work passes its turn
 * on, higher ones first, so a flood of urgent work slows the rest down but never starves it.
 */
const TURNS: readonly Priority[] = ["high", "normal", "high", "low", "high", "normal", "high"];
const BY_URGENCY: readonly Priority[] = [...PRIORITIES].reverse();

/** All queued jobs of one kind (shared or alone), in lanes. */
export class Lanes {
  readonly #lines: Record<Priority, Line[]> = { low: [], normal: [], high: [] };
  readonly #byKey = new Map<string, Line>();
  readonly #restraint: Restraint;
  #turn = 0;

  constructor(restraint: Restraint) {
    this.#restraint = restraint;
  }

  push(item: Queued): void {
    const { queue, name, priority } = item.job;
    const key = keyOf(item.job);
    let line = this.#byKey.get(key);
    if (!line) {
      line = new Line(queue, name);
      this.#byKey.set(key, line);
      this.#lines[priority].push(line);
    }
    line.push(item);
  }

  /** Takes a job out before its turn. */
  remove(item: Queued): void {
    this.#byKey.get(keyOf(item.job))?.remove(item);
  }

  /** One of this owner's has ended, or of anybody's: who waited for that stands in line again. */
  unpark(job?: Pick<Job, "name" | "owner">): void {
    for (const line of this.#byKey.values()) if (job === undefined || line.name === job.name) line.unpark(job?.owner);
  }

  take(request: ClaimRequest): Job | undefined {
    const first = TURNS[this.#turn % TURNS.length] as Priority;
    this.#turn += 1;
    const job = this.#takeFrom(first, request);
    if (job) return job;
    for (const priority of BY_URGENCY) {
      const other = priority === first ? undefined : this.#takeFrom(priority, request);
      if (other) return other;
    }
    return undefined;
  }

  /** Tasks of one priority take turns as well: the line that served goes to the end. */
  #takeFrom(priority: Priority, request: ClaimRequest): Job | undefined {
    const lines = this.#lines[priority];
    for (let i = 0; i < lines.length; i += 1) {
      const line = lines[i] as Line;
      if (line.empty || !serves(request, line) || !this.#restraint.admits(line.queue, line.name)) continue;
      const job = line.take(this.#restraint);
      if (!job) continue;
      lines.splice(i, 1);
      lines.push(line);
      return job;
    }
    return undefined;
  }
}

const keyOf = ({ queue, name, priority }: Job): string => `${priority}\n${queue}\n${name}`;
const serves = (request: ClaimRequest, line: Line): boolean =>
  request.tasks.includes(line.name) && (request.queues === undefined || request.queues.includes(line.queue));
