import type { Task } from "../domain/task.ts";
import type { Lane } from "../ports/tasks.ts";

/**
 * The broker holds only a window of the backlog, so that a million queued tasks cost it nothing: so many jobs a lane,
 * so many in all, and so many bytes of their inputs.
 */
export interface WindowLimits {
  readonly lane: number;
  /** While the broker holds less than this in all, a lane may have that much: a single user's backlog enters at no extra write. */
  readonly roomy?: number;
  readonly total: number;
  readonly bytes: number;
}

export const WINDOW: WindowLimits = { lane: 1_000, roomy: 25_000, total: 50_000, bytes: 64 * 1024 * 1024 };

/** Inputs smaller than this are not worth counting: 50,000 of them stay within the bound anyway. */
const COUNTED_BYTES = 1_024;

interface LaneState {
  readonly lane: Lane;
  /** Queued jobs that the broker holds. */
  inBroker: number;
  /** Queued rows that it does not hold yet. */
  waiting: number;
  hungry: boolean;
  /** What of it is in the broker takes no room that others could have. */
  paused: boolean;
}

/** Counts, per lane, what the broker holds and what waits outside, and says which lanes can take more. */
export class Window {
  readonly #limits: WindowLimits;
  readonly #lanes = new Map<string, LaneState>();
  /** Lanes with rows outside and room inside, in turn. */
  #hungry: LaneState[] = [];
  readonly #bytes = new Map<string, number>();
  #totalBytes = 0;
  /** Without what is paused. */
  #inBroker = 0;
  #waiting = 0;
  #isPaused: ((lane: Lane) => boolean) | undefined;

  constructor(limits: WindowLimits = WINDOW) {
    this.#limits = limits;
  }

  get inBroker(): number {
    return this.#inBroker;
  }

  get waiting(): number {
    return this.#waiting;
  }

  /** Whether a task that queues now goes straight to the broker: there is room, and nobody of its lane waits before it. */
  admits(task: Task): boolean {
    const state = this.#lanes.get(keyOf(task));
    if (state ? state.paused : this.#isPaused?.(task)) return false;
    if (this.#inBroker >= this.#limits.total || this.#totalBytes >= this.#limits.bytes) return false;
    return state === undefined || (state.waiting === 0 && state.inBroker < this.#allowance());
  }

  /** Accounts for a stored change; called with the two exchanged it takes the change back. */
  moved(before: Task | null, after: Task | null): void {
    if (before?.status === "queued") this.#count(before, -1);
    if (after?.status === "queued") this.#count(after, 1);
  }

  /** Notes the size of an input that the broker takes. @returns false when it is noted already, or not worth it */
  carries(id: string, bytes: number): boolean {
    if (bytes < COUNTED_BYTES || this.#bytes.has(id)) return false;
    this.#bytes.set(id, bytes);
    this.#totalBytes += bytes;
    return true;
  }

  /** The broker lets go of an input. */
  drops(id: string): void {
    const bytes = this.#bytes.get(id);
    if (bytes === undefined) return;
    this.#bytes.delete(id);
    this.#totalBytes -= bytes;
  }

  /** Adds rows found at the start. */
  add(lane: Lane, dispatched: boolean, count: number): void {
    this.#change(this.#state(lane), dispatched, count);
  }

  /** The next lane to be fed, how many jobs it can take and how many bytes of inputs; undefined: none waits, or there is no room. */
  nextHungry(): { lane: Lane; room: number; bytes: number } | undefined {
    const free = this.#limits.total - this.#inBroker;
    const bytes = this.#limits.bytes - this.#totalBytes;
    if (free <= 0 || bytes <= 0) return undefined;
    for (let state = this.#hungry.shift(); state; state = this.#hungry.shift()) {
      state.hungry = false;
      const room = state.paused ? 0 : Math.min(this.#allowance() - state.inBroker, free);
      if (state.waiting > 0 && room > 0) return { lane: state.lane, room, bytes };
      this.#forgetEmpty(state);
    }
    return undefined;
  }

  /** Which lanes are paused from now on: they get no more jobs, and those that they have take no room. Undefined: none is. */
  restrain(isPaused: ((lane: Lane) => boolean) | undefined): void {
    this.#isPaused = isPaused;
    for (const state of this.#lanes.values()) {
      const paused = isPaused?.(state.lane) ?? false;
      if (paused === state.paused) continue;
      state.paused = paused;
      this.#inBroker += paused ? -state.inBroker : state.inBroker;
      this.#feedLater(state);
    }
  }

  /** Queued tasks by queue and name, of the lanes that fit: by default of all. Looks at every lane. */
  queues(fits: (lane: Lane) => boolean = () => true): Map<string, Map<string, number>> {
    const counts = new Map<string, Map<string, number>>();
    for (const { lane, inBroker, waiting } of this.#lanes.values()) {
      if (!fits(lane)) continue;
      const tasks = counts.get(lane.queue) ?? new Map<string, number>();
      counts.set(lane.queue, tasks.set(lane.name, (tasks.get(lane.name) ?? 0) + inBroker + waiting));
    }
    return counts;
  }

  /** How many tasks of one lane are queued. */
  queuedIn(lane: Lane): number {
    const { inBroker = 0, waiting = 0 } = this.#lanes.get(keyOf(lane)) ?? {};
    return inBroker + waiting;
  }

  /** Its turn came to nothing: it gets another one. */
  stillHungry(lane: Lane): void {
    this.#feedLater(this.#state(lane));
  }

  #count(task: Task, by: 1 | -1): void {
    const state = this.#state(task);
    this.#change(state, task.dispatched, by);
    this.#forgetEmpty(state);
  }

  /** One that still stands in the line of the hungry goes when its turn comes, or lanes that come and go would add up there. */
  #forgetEmpty(state: LaneState): void {
    if (state.inBroker === 0 && state.waiting === 0 && !state.hungry) this.#lanes.delete(keyOf(state.lane));
  }

  #change(state: LaneState, dispatched: boolean, by: number): void {
    if (dispatched) {
      state.inBroker += by;
      if (!state.paused) this.#inBroker += by;
    } else {
      state.waiting += by;
      this.#waiting += by;
    }
    this.#feedLater(state);
  }

  /** How much one lane may have now. */
  #allowance(): number {
    const { lane, roomy = 0 } = this.#limits;
    return this.#inBroker < roomy ? roomy : lane;
  }

  /** Fed again once half empty, so that feeding moves hundreds of rows at a time. */
  #feedLater(state: LaneState): void {
    if (state.hungry || state.paused || state.waiting <= 0 || state.inBroker > this.#allowance() / 2) return;
    state.hungry = true;
    this.#hungry.push(state);
  }

  #state(lane: Lane): LaneState {
    const key = keyOf(lane);
    let state = this.#lanes.get(key);
    if (!state) {
      const { queue, name, priority, owner } = lane;
      const paused = this.#isPaused?.(lane) ?? false;
      state = { lane: { queue, name, priority, owner }, inBroker: 0, waiting: 0, hungry: false, paused };
      this.#lanes.set(key, state);
    }
    return state;
  }
}

const keyOf = (lane: Lane): string => `${lane.owner}\n${lane.priority}\n${lane.queue}\n${lane.name}`;
