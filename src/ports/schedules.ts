/** What is stored of a task's schedule. Times are milliseconds since 1970 UTC. */
export interface ScheduleRow {
  /** The task's name. */
  readonly task: string;
  readonly cron: string;
  readonly timeZone: string;
  readonly paused: boolean;
  /** Null while it is paused, or where no time will come. */
  readonly nextAt: number | null;
  /** The time for which it last ran; null: never. */
  readonly lastAt: number | null;
  /** The id of the task that came of it. */
  readonly lastTask: string | null;
}

/** Inside of the caller's transaction. */
export interface ScheduleStore {
  all(): readonly ScheduleRow[];
  get(task: string): ScheduleRow | undefined;
  put(row: ScheduleRow): void;
}
