import { type Bucket, nextTokenMs, refill, type TaskLimits } from "../../domain/limits.ts";
import type { Job, LimitUse, Restraints } from "../../ports/broker.ts";
import type { Clock } from "../../ports/runtime.ts";

type Who = Pick<Job, "name" | "owner">;

/** Says how much of which task may be claimed now: counts what is leased, fills buckets, knows what is paused. */
export class Restraint {
  readonly #clock: Clock;
  #limits = new Map<string, TaskLimits>();
  #pausedTasks = new Set<string>();
  #pausedQueues = new Set<string>();
  /** Leases by task, and by task and owner; of tasks with limits. */
  readonly #busy = new Map<string, number>();
  readonly #buckets = new Map<string, Bucket>();
  #waitMs: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param leased what counts already */
  set({ limits, pausedTasks, pausedQueues }: Restraints, leased: Iterable<Who>): void {
    this.#limits = new Map(limits.map((limit) => [limit.name, limit]));
    this.#pausedTasks = new Set(pausedTasks);
    this.#pausedQueues = new Set(pausedQueues);
    this.#busy.clear();
    for (const job of leased) this.began(job);
    for (const name of this.#buckets.keys()) if (!this.#limits.get(name)?.rate) this.#buckets.delete(name);
  }

  /** Whether one more of this task may be claimed. A token is there until it is taken. */
  admits(queue: string, name: string): boolean {
    if (this.#pausedTasks.has(name) || this.#pausedQueues.has(queue)) return false;
    const limits = this.#limits.get(name);
    if (!limits) return true;
    if ((this.#busy.get(name) ?? 0) >= (limits.concurrency ?? Number.POSITIVE_INFINITY)) return false;
    return limits.rate === undefined || this.#hasToken(name, limits.rate);
  }

  admitsOwner(job: Who): boolean {
    const most = this.#limits.get(job.name)?.perUser;
    return most === undefined || (this.#busy.get(keyOf(job)) ?? 0) < most;
  }

  /** One of it has been claimed. */
  took(job: Who): void {
    this.began(job);
    const bucket = this.#buckets.get(job.name);
    if (bucket) this.#buckets.set(job.name, { ...bucket, tokens: bucket.tokens - 1 });
  }

  began(job: Who): void {
    if (!this.#limits.has(job.name)) return;
    for (const key of [job.name, keyOf(job)]) this.#busy.set(key, (this.#busy.get(key) ?? 0) + 1);
  }

  /** A lease has ended. @returns whether that leaves room for others of its task */
  ended(job: Who): boolean {
    const limits = this.#limits.get(job.name);
    if (!limits) return false;
    for (const key of [job.name, keyOf(job)]) {
      const left = (this.#busy.get(key) ?? 0) - 1;
      if (left > 0) this.#busy.set(key, left);
      else this.#busy.delete(key);
    }
    return limits.concurrency !== undefined || limits.perUser !== undefined;
  }

  /** How long until a bucket that was found empty holds a token, in milliseconds; undefined: none was since the last call. */
  takeWaitMs(): number | undefined {
    const waitMs = this.#waitMs;
    this.#waitMs = undefined;
    return waitMs;
  }

  /** See BrokerHub.limitUse. */
  use(names: readonly string[], owner?: string): LimitUse[] {
    return names.flatMap((name) => {
      const limits = this.#limits.get(name);
      if (!limits) return [];
      const byOwner = owner === undefined ? this.#busyByOwner(name) : this.#busyOf({ name, owner });
      return [{ name, running: this.#busy.get(name) ?? 0, byOwner, tokenInMs: this.#tokenInMs(name, limits), countedInMs: 0 }];
    });
  }

  #busyByOwner(name: string): Map<string, number> {
    const prefix = keyOf({ name, owner: "" });
    return new Map(
      [...this.#busy].flatMap(([key, count]) => (key.startsWith(prefix) ? [[key.slice(prefix.length), count]] : [])),
    );
  }

  #busyOf(job: Who): Map<string, number> {
    const count = this.#busy.get(keyOf(job));
    return new Map(count === undefined ? [] : [[job.owner, count]]);
  }

  #tokenInMs(name: string, { rate }: TaskLimits): number {
    return rate === undefined ? 0 : nextTokenMs(rate, refill(rate, this.#buckets.get(name), this.#clock.now()));
  }

  #hasToken(name: string, rate: NonNullable<TaskLimits["rate"]>): boolean {
    const bucket = refill(rate, this.#buckets.get(name), this.#clock.now());
    this.#buckets.set(name, bucket);
    if (bucket.tokens >= 1) return true;
    this.#waitMs = Math.min(this.#waitMs ?? Number.POSITIVE_INFINITY, Math.max(1, nextTokenMs(rate, bucket)));
    return false;
  }
}

const keyOf = ({ name, owner }: Who): string => `${name}\n${owner}`;
