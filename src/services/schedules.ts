import type { TaskPolicy } from "../domain/definition.ts";
import { NotFound, TooMany, Unavailable } from "../domain/errors.ts";
import { nextRun, type Schedule } from "../domain/schedule.ts";
import type { Clock, Log, Service } from "../ports/runtime.ts";
import type { ScheduleRow, ScheduleStore } from "../ports/schedules.ts";
import type { StoredTask, Transaction, UnitOfWork } from "../ports/tasks.ts";
import type { Caller, Tasks } from "./tasks.ts";

/** A clock may jump: look again at least this often, in milliseconds. */
const MAX_WAIT_MS = 60_000;
/** After a run that could not be stored, in milliseconds. */
const RETRY_MS = 500;

type Scheduled = TaskPolicy & { readonly schedule: Schedule };

interface Parts {
  readonly store: ScheduleStore;
  readonly work: UnitOfWork;
  readonly tasks: Pick<Tasks, "accept">;
  /** What is on offer now. */
  readonly policies: () => readonly TaskPolicy[];
  /** Whose tasks those are that run by a schedule. */
  readonly owner: () => Promise<Caller>;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Runs tasks by their schedules. The next time is a row, and moves on in the transaction that accepts the task: however often
 * the server is started again, each time comes to one task.
 */
export class Schedules implements Service {
  readonly #parts: Parts;
  /** Tasks whose schedule this process follows. */
  #followed = new Set<string>();
  /** The definitions have changed, and that could not be stored. */
  #behind = false;
  #alarm: ReturnType<typeof setTimeout> | undefined;
  #running: Promise<unknown> = Promise.resolve();
  #stopped = true;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  async start(): Promise<void> {
    await this.renew();
    this.#stopped = false;
    this.#setAlarm();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#alarm);
    await this.#running;
  }

  /** The definitions have changed. @throws Unavailable; then it is tried again by itself */
  async renew(): Promise<void> {
    const { work, clock } = this.#parts;
    const scheduled = this.#scheduled();
    try {
      if (scheduled.length > 0) {
        await work.grouped(() => {
          for (const policy of scheduled) this.#renew(policy, clock.now());
        });
      }
    } catch (error) {
      this.#behind = true;
      this.#setAlarm();
      throw error;
    }
    this.#behind = false;
    this.#followed = new Set(scheduled.map(({ name }) => name));
    this.#setAlarm();
  }

  /** Those of the tasks on offer, by name. */
  list(): readonly (ScheduleRow & Pick<Schedule, "missed" | "input">)[] {
    const schedules = new Map(this.#scheduled().map(({ name, schedule }) => [name, schedule]));
    return this.#parts.store.all().flatMap((row) => {
      const schedule = schedules.get(row.task);
      return schedule ? [{ ...row, missed: schedule.missed, input: schedule.input }] : [];
    });
  }

  /** No more runs by itself until it is resumed; idempotent. @throws NotFound `schedule_not_found` */
  async pause(name: string): Promise<void> {
    await this.#change(name, (row) => ({ ...row, paused: true, nextAt: null }));
  }

  /** From now on; what passed meanwhile is not made up for; idempotent. @throws NotFound `schedule_not_found` */
  async resume(name: string): Promise<void> {
    await this.#change(name, (row, now) => (row.paused ? { ...row, paused: false, nextAt: nextRun(row, now) } : row));
  }

  /** Runs it now, beside its times. @throws NotFound `schedule_not_found`; TooMany `queue_full` */
  async run(name: string): Promise<StoredTask> {
    const { work, owner } = this.#parts;
    const policy = this.#find(name);
    const caller = await owner();
    return await work.grouped((tx) => this.#accept(tx, caller, policy));
  }

  /** Runs what is due. @returns how many tasks came of it */
  async tick(): Promise<number> {
    const { store, work, clock, owner } = this.#parts;
    const due = this.#due();
    if (due.length === 0) return 0;
    const caller = await owner();
    let ran = 0;
    for (const policy of due) {
      ran += await work.grouped((tx) => {
        const row = store.get(policy.name);
        if (!row || row.nextAt === null || row.nextAt > clock.now()) return 0;
        const { id } = this.#accept(tx, caller, policy);
        store.put({ ...row, nextAt: nextRun(row, clock.now()), lastAt: row.nextAt, lastTask: id });
        return 1;
      });
    }
    return ran;
  }

  /** The longest due first: where there is room for one task, each gets its turn. */
  #due(): readonly Scheduled[] {
    const { store, clock } = this.#parts;
    const at = ({ name }: Scheduled): number => store.get(name)?.nextAt ?? Number.POSITIVE_INFINITY;
    const due = this.#scheduled().filter((policy) => at(policy) <= clock.now());
    return due.sort((a, b) => at(a) - at(b));
  }

  /** A schedule that has changed counts from now; one that this process begins to follow may have missed times. */
  #renew({ name, schedule }: Scheduled, now: number): void {
    const { store } = this.#parts;
    const { cron, timeZone, missed } = schedule;
    const row = store.get(name);
    const same = row?.cron === cron && row.timeZone === timeZone;
    const skips = missed === "skip" && !this.#followed.has(name) && (row?.nextAt ?? now) < now;
    if (same && !skips) return;
    const paused = row?.paused ?? false;
    const nextAt = paused ? null : nextRun(schedule, now);
    store.put({ task: name, cron, timeZone, paused, nextAt, lastAt: row?.lastAt ?? null, lastTask: row?.lastTask ?? null });
  }

  #accept(tx: Transaction, caller: Caller, { name, schedule }: Scheduled): StoredTask {
    return this.#parts.tasks.accept(tx, caller, name, JSON.stringify(schedule.input));
  }

  async #change(name: string, next: (row: ScheduleRow, now: number) => ScheduleRow): Promise<void> {
    const { store, work, clock } = this.#parts;
    this.#find(name);
    await work.grouped(() => {
      const row = store.get(name);
      if (row) store.put(next(row, clock.now()));
    });
    this.#setAlarm();
  }

  #find(name: string): Scheduled {
    const policy = this.#scheduled().find((each) => each.name === name);
    if (!policy) throw new NotFound("schedule_not_found", `there is no task "${name}" with a schedule`);
    return policy;
  }

  #scheduled(): readonly Scheduled[] {
    return this.#parts.policies().filter((policy): policy is Scheduled => policy.schedule !== undefined);
  }

  #setAlarm(): void {
    const { store, clock } = this.#parts;
    if (this.#behind) return this.#wake(RETRY_MS);
    if (this.#followed.size === 0) return clearTimeout(this.#alarm);
    const times = store.all().flatMap(({ task, nextAt }) => (nextAt !== null && this.#followed.has(task) ? [nextAt] : []));
    this.#wake(Math.min(MAX_WAIT_MS, Math.min(...times) - clock.now()));
  }

  #wake(afterMs: number): void {
    clearTimeout(this.#alarm);
    if (this.#stopped) return;
    this.#alarm = setTimeout(() => {
      this.#running = this.#round();
    }, afterMs);
  }

  async #round(): Promise<void> {
    try {
      if (this.#behind) await this.renew();
      await this.tick();
      this.#setAlarm();
    } catch (error) {
      // What cannot be reached says so itself.
      if (!(error instanceof Unavailable)) this.#parts.log.error("could not run by schedule", { error: String(error) });
      this.#wake(error instanceof TooMany ? error.retryAfterMs : RETRY_MS);
    }
  }
}
