import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { keyOfId, TaskIds } from "../../src/drivers/sqlite/task-ids.ts";

const NOW = Date.UTC(2026, 0, 1);

describe("ids of tasks", () => {
  test("are UUIDv7 of their time, each with its own key, in the order in which they were made, whatever the clock does", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -5, max: 5 }), { minLength: 1, maxLength: 3_000 }), (steps) => {
        const ids = new TaskIds(0);
        let now = NOW;
        const made = steps.map((step) => {
          now += step;
          return ids.next(now);
        });
        const keys = made.map((id) => keyOfId(id) ?? Number.NaN);
        expect(made.every((id) => /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(id))).toBe(true);
        expect(keys).toEqual([...new Set(keys)].sort((a, b) => a - b));
        expect(made).toEqual([...made].sort());
        expect(keys.every(Number.isSafeInteger)).toBe(true);
      }),
    );
  });

  test("tell their millisecond, and more than a thousand in one go on into the next", () => {
    const ids = new TaskIds(0);
    const made = Array.from({ length: 1_025 }, () => ids.next(NOW));
    const ms = (id: string): number => Number.parseInt(id.replaceAll("-", "").slice(0, 12), 16);
    expect([ms(made[0] ?? ""), ms(made[1_023] ?? ""), ms(made[1_024] ?? "")]).toEqual([NOW, NOW, NOW + 1]);
  });

  test("go on behind the highest that is taken, also where that lies ahead of the clock", () => {
    const taken = keyOfId(new TaskIds(0).next(NOW + 60_000)) ?? 0;
    expect(keyOfId(new TaskIds(taken).next(NOW))).toBe(taken + 1);
  });

  test("cannot be guessed from one another: what follows the key is random", () => {
    const tails = new Set(Array.from({ length: 1_000 }, () => new TaskIds(0).next(NOW).slice(19)));
    expect(tails.size).toBe(1_000);
  });

  test("what is no id has no key", () => {
    for (const text of ["", "x", crypto.randomUUID(), "../../etc", "01A20BC6-0D3D-7664-9945-B17E437639A3"])
      expect(keyOfId(text)).toBeUndefined();
  });
});
