import { Cron } from "croner";
import { InvalidInput } from "./errors.ts";

/** When a task runs by itself. */
export interface Schedule {
  /** Five fields (minute, hour, day of month, month, day of week), six with seconds first, or a word such as @daily. */
  readonly cron: string;
  /** IANA name. Where a clock change leaves a time out, it counts as the time after the gap; one that comes twice counts once. */
  readonly timeZone: string;
  /** What becomes of times that passed while no server ran: `once`, one run makes up for all of them; `skip`, none does. */
  readonly missed: "once" | "skip";
  readonly input: unknown;
}

/** The first time after `after`; both in milliseconds since 1970 UTC. Null: never again. */
export function nextRun({ cron, timeZone }: Pick<Schedule, "cron" | "timeZone">, after: number): number | null {
  return new Cron(cron, { timezone: timeZone, paused: true }).nextRun(new Date(after))?.getTime() ?? null;
}

/** @throws InvalidInput `invalid_schedule` where it names no time, or no time zone */
export function checkSchedule(schedule: Pick<Schedule, "cron" | "timeZone">): void {
  const refuse = (what: string, error: unknown): never => {
    throw new InvalidInput("invalid_schedule", `"schedule" ${what}: ${error instanceof Error ? error.message : String(error)}`);
  };
  try {
    new Intl.DateTimeFormat("en", { timeZone: schedule.timeZone });
  } catch (error) {
    refuse("names no time zone", error);
  }
  try {
    if (nextRun(schedule, 0) === null) throw new Error(`"${schedule.cron}" never comes`);
  } catch (error) {
    refuse("is no cron expression", error);
  }
}
