import { InvalidInput } from "./errors.ts";

/** Longest delay of a task, in milliseconds: a leap year. */
const DELAY_MAX_MS = 366 * 86_400_000;

const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/**
 * Reads a duration such as `500ms`, `30s`, `5m`, `2h` or `7d`; a fraction (`1.5s`) is allowed.
 *
 * @returns whole milliseconds, 0 or more
 * @throws InvalidInput `invalid_duration` naming the text that is none
 */
export function parseDuration(text: string): number {
  const ms = durationOf(text);
  if (ms === undefined) throw new InvalidInput("invalid_duration", noDuration(text));
  return ms;
}

/**
 * Reads how long a task is to wait, as `parseDuration` reads it.
 *
 * @returns whole milliseconds
 * @throws InvalidInput `invalid_delay` when it is no duration, or longer than a year
 */
export function parseDelay(text: string): number {
  const ms = durationOf(text);
  if (ms !== undefined && ms <= DELAY_MAX_MS) return ms;
  const message = ms === undefined ? noDuration(text) : `a delay can be ${DELAY_MAX_MS / UNIT_MS.d}d at most`;
  throw new InvalidInput("invalid_delay", message, [{ path: "/delay", message }]);
}

/** Undefined: it is none. */
function durationOf(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text.trim());
  const ms = match ? Math.round(Number(match[1]) * UNIT_MS[match[2] as keyof typeof UNIT_MS]) : Number.NaN;
  return Number.isSafeInteger(ms) ? ms : undefined;
}

const noDuration = (text: string): string =>
  `"${text}" is no duration: write a number and a unit, such as 500ms, 30s, 5m, 2h or 7d`;
