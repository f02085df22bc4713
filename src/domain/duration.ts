import { InvalidInput } from "./errors.ts";

const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/**
 * Reads a duration such as `500ms`, `30s`, `5m`, `2h` or `7d`; a fraction (`1.5s`) is allowed.
 *
 * @returns whole milliseconds, 0 or more
 * @throws InvalidInput `invalid_duration` naming the text that is none
 */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text.trim());
  const ms = match ? Math.round(Number(match[1]) * UNIT_MS[match[2] as keyof typeof UNIT_MS]) : Number.NaN;
  if (!Number.isSafeInteger(ms)) {
    throw new InvalidInput(
      "invalid_duration",
      `"${text}" is no duration: write a number and a unit, such as 500ms, 30s, 5m, 2h or 7d`,
    );
  }
  return ms;
}
