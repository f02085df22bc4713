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

/** How many jobs a lane may have in the broker at most: 0 where it is paused; undefined: as many as any other. */
export type Restraint = (lane: Lane) => number | undefined;

/**
 * What all owners have queued of one task. Lines share the window evenly: one whose jobs nobody takes, or hardly anybody, because
 * no worker serves it or a limit holds it back, leaves the others their room. One that came earlier may have more than its share
 * until its jobs have run; meanwhile it lets in the first job of each lane, or one owner's many would keep all others of it waiting.
 */
interface Line {
  readonly key: string;
  lanes: number;
  inBroker: number;
  /** Lanes of which the broker holds jobs. */
  present: number;
  /** Of inputs that the broker holds, those of running tasks among them. */
  bytes: number;
  /** Its lanes with rows outside and room inside, in turn: those with nothing inside, which come first, and the others. */
  readonly starving: Set<LaneState>;
  readonly hungry: Set<LaneState>;
}

interface LaneState {
  readonly lane: Lane;
  readonly key: string;
  readonly line: Line;
  /** Queued jobs that the broker holds. */
  inBroker: number;
  /** Queued rows that it does not hold yet. */
  waiting: number;
  /** How many jobs it may have in the broker, whatever room there is. */
  most: number;
}

/** Counts, per lane, what the broker holds and what waits outside, and says which lanes can take more. */
export class Window {
  readonly #limits: WindowLimits;
  readonly #lanes = new Map<string, LaneState>();
  readonly #lines = new Map<string, Line>();
  readonly #bytes = new Map<string, { readonly line: Line; readonly bytes: number }>();
  #inBroker = 0;
  #waiting = 0;
  #carried = 0;
  #restraint: Restraint | undefined;

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
    if (state) return state.waiting === 0 && this.#roomFor(state) > 0;
    const line = this.#lines.get(lineOf(task));
    return this.#restraint?.(task) !== 0 && (line === undefined || this.#hasRoom(line) || this.#letsInFirst(line));
  }

  /** Accounts for a stored change; called with the two exchanged it takes the change back. */
  moved(before: Task | null, after: Task | null): void {
    if (before?.status === "queued") this.#count(before, -1);
    if (after?.status === "queued") this.#count(after, 1);
  }

  /** Notes the size of an input that the broker takes. @returns false when it is noted already, or not worth it */
  carries(task: Task, bytes: number): boolean {
    if (bytes < COUNTED_BYTES || this.#bytes.has(task.id)) return false;
    const line = this.#line(task);
    this.#bytes.set(task.id, { line, bytes });
    line.bytes += bytes;
    this.#carried += bytes;
    return true;
  }

  /** The broker lets go of an input. */
  drops(id: string): void {
    const carried = this.#bytes.get(id);
    if (carried === undefined) return;
    this.#bytes.delete(id);
    carried.line.bytes -= carried.bytes;
    this.#carried -= carried.bytes;
    this.#forgetUnused(carried.line);
  }

  /** Adds rows found at the start. */
  add(lane: Lane, dispatched: boolean, count: number): void {
    this.#change(this.#state(lane), dispatched, count);
  }

  /** The next lane to be fed, how many jobs it can take and how many bytes of inputs; undefined: none waits, or there is no room. */
  nextHungry(): { lane: Lane; room: number; bytes: number } | undefined {
    for (const line of this.#lines.values()) {
      for (let state = this.#nextOf(line); state; state = this.#nextOf(line)) {
        const room = this.#roomFor(state);
        if (room <= 0) continue;
        // Lines take turns, too.
        this.#lines.delete(line.key);
        this.#lines.set(line.key, line);
        return { lane: state.lane, room, bytes: Math.max(0, this.#share(this.#limits.bytes) - line.bytes) };
      }
    }
    return undefined;
  }

  /** How lanes are held back from now on. Undefined: none is. */
  restrain(restraint: Restraint | undefined): void {
    this.#restraint = restraint;
    for (const state of this.#lanes.values()) {
      state.most = restraint?.(state.lane) ?? Number.POSITIVE_INFINITY;
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
    const state = this.#lanes.get(keyOf(lane));
    if (state) this.#feedLater(state);
  }

  #count(task: Task, by: 1 | -1): void {
    const state = this.#state(task);
    this.#change(state, task.dispatched, by);
    this.#forgetEmpty(state);
  }

  #forgetEmpty(state: LaneState): void {
    if (state.inBroker !== 0 || state.waiting !== 0 || !this.#lanes.delete(state.key)) return;
    state.line.lanes -= 1;
    this.#forgetUnused(state.line);
  }

  #forgetUnused(line: Line): void {
    if (line.lanes === 0 && line.bytes === 0) this.#lines.delete(line.key);
  }

  #change(state: LaneState, dispatched: boolean, by: number): void {
    if (dispatched) {
      const { line } = state;
      if (state.inBroker > 0) line.present -= 1;
      state.inBroker += by;
      if (state.inBroker > 0) line.present += 1;
      line.inBroker += by;
      this.#inBroker += by;
    } else {
      state.waiting += by;
      this.#waiting += by;
    }
    this.#feedLater(state);
  }

  #hasRoom(line: Line): boolean {
    const { total, bytes } = this.#limits;
    return line.inBroker < this.#share(total) && line.bytes < this.#share(bytes);
  }

  /** Whether a lane of which the broker holds nothing may have one job there though its line has no room. */
  #letsInFirst(line: Line): boolean {
    const { total, bytes } = this.#limits;
    const hasMore = line.inBroker > this.#share(total) || line.bytes > this.#share(bytes);
    return hasMore && line.present < this.#share(total) && this.#carried < 2 * bytes;
  }

  /** How many more jobs of a lane the broker may hold now. */
  #roomFor(state: LaneState): number {
    const { line, inBroker } = state;
    const room = this.#allowance(state) - inBroker;
    if (this.#hasRoom(line)) return Math.min(room, this.#share(this.#limits.total) - line.inBroker);
    return inBroker === 0 && this.#letsInFirst(line) ? Math.min(room, 1) : 0;
  }

  /** Takes from a line the lane whose turn it is; undefined: none wants to be fed, or may be now. */
  #nextOf(line: Line): LaneState | undefined {
    const { starving, hungry } = line;
    const hasRoom = this.#hasRoom(line);
    const lanes = starving.size > 0 && (hasRoom || this.#letsInFirst(line)) ? starving : hungry;
    const [next] = lanes;
    if (!next || (lanes === hungry && !hasRoom)) return undefined;
    lanes.delete(next);
    return next;
  }

  /** What one line may have of the window. */
  #share(whole: number): number {
    return Math.ceil(whole / Math.max(1, this.#lines.size));
  }

  /** How much one lane may have now. */
  #allowance({ most }: LaneState): number {
    const { lane, roomy = 0 } = this.#limits;
    return Math.min(most, this.#inBroker < roomy ? roomy : lane);
  }

  /** Fed again once half empty, so that feeding moves hundreds of rows at a time. */
  #feedLater(state: LaneState): void {
    const { starving, hungry } = state.line;
    const wants = state.most > 0 && state.waiting > 0 && state.inBroker <= this.#allowance(state) / 2;
    if (!wants || state.inBroker > 0) starving.delete(state);
    if (!wants || state.inBroker === 0) hungry.delete(state);
    if (wants) (state.inBroker === 0 ? starving : hungry).add(state);
  }

  #state(lane: Lane): LaneState {
    const key = keyOf(lane);
    let state = this.#lanes.get(key);
    if (!state) {
      const { queue, name, priority, owner } = lane;
      const line = this.#line(lane);
      line.lanes += 1;
      const most = this.#restraint?.(lane) ?? Number.POSITIVE_INFINITY;
      state = { lane: { queue, name, priority, owner }, key, line, inBroker: 0, waiting: 0, most };
      this.#lanes.set(key, state);
    }
    return state;
  }

  #line(lane: Lane): Line {
    const key = lineOf(lane);
    let line = this.#lines.get(key);
    if (!line) {
      line = { key, lanes: 0, inBroker: 0, present: 0, bytes: 0, starving: new Set(), hungry: new Set() };
      this.#lines.set(key, line);
    }
    return line;
  }
}

const keyOf = ({ owner, priority, queue, name }: Lane): string => `${owner}\n${priority}\n${queue}\n${name}`;
const lineOf = ({ queue, name }: Lane): string => `${queue}\n${name}`;
