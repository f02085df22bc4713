import { describe, expect, test } from "bun:test";
import { checkSchedule, nextRun } from "../../src/domain/schedule.ts";

const at = (text: string): number => new Date(text).getTime();
/** The next `count` times. */
function next(cron: string, timeZone: string, after: string, count: number): (string | null)[] {
  const times: (string | null)[] = [];
  for (let last: number | null = at(after); times.length < count && last !== null; ) {
    last = nextRun({ cron, timeZone }, last);
    times.push(last === null ? null : new Date(last).toISOString());
  }
  return times;
}

describe("the next run", () => {
  test("comes after the given moment, by the clock of its time zone", () => {
    expect(next("0 3 * * *", "UTC", "2026-01-01T03:00:00Z", 1)).toEqual(["2026-01-02T03:00:00.000Z"]);
    expect(next("0 3 * * *", "Asia/Tokyo", "2026-01-01T00:00:00Z", 2)).toEqual([
      "2026-01-01T18:00:00.000Z",
      "2026-01-02T18:00:00.000Z",
    ]);
    expect(next("*/20 * * * * *", "UTC", "2026-01-01T00:00:05Z", 2)).toEqual([
      "2026-01-01T00:00:20.000Z",
      "2026-01-01T00:00:40.000Z",
    ]);
    expect(next("@monthly", "UTC", "2026-01-15T00:00:00Z", 1)).toEqual(["2026-02-01T00:00:00.000Z"]);
  });

  test("a time that the change to summer time leaves out counts as the one after the gap; one that comes twice counts once", () => {
    expect(next("30 2 * * *", "Europe/Berlin", "2026-03-27T12:00:00Z", 3)).toEqual([
      "2026-03-28T01:30:00.000Z",
      "2026-03-29T01:00:00.000Z",
      "2026-03-30T00:30:00.000Z",
    ]);
    expect(next("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2)).toEqual([
      "2026-10-25T00:30:00.000Z",
      "2026-10-26T01:30:00.000Z",
    ]);
  });
});

test.each([
  [{ cron: "61 * * * *", timeZone: "UTC" }, /"schedule" is no cron expression: .*61/],
  [{ cron: "daily", timeZone: "UTC" }, /"schedule" is no cron expression/],
  [{ cron: "", timeZone: "UTC" }, /"schedule" is no cron expression/],
  [{ cron: "0 0 30 2 *", timeZone: "UTC" }, /never comes/],
  [{ cron: "@daily", timeZone: "Mars/Olympus" }, /"schedule" names no time zone: .*Mars/],
])("%j is refused", (schedule, reason) => {
  expect(() => checkSchedule(schedule)).toThrow(reason);
});
