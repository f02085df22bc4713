import { expect, test } from "bun:test";
import { Starts } from "../../src/drivers/redis/starts.ts";
import type { BrokerEvent } from "../../src/ports/broker.ts";

const started = (id: string, fence = 1): BrokerEvent => ({ kind: "started", id, fence, at: 0, worker: "w" });
const done = (id: string, fence = 1): BrokerEvent => ({ kind: "done", id, fence, at: 0, result: "null" });

/** Calls until all that is kept has been taken; what it was is in order. */
async function taken(starts: (onDue: () => void) => Starts): Promise<string[]> {
  const ids: string[] = [];
  const all = Promise.withResolvers<void>();
  const kept: Starts = starts(() => {
    ids.push(...kept.take(2, false).map(({ id }) => id));
    if (kept.size === 0) all.resolve();
  });
  await all.promise;
  return ids;
}

test("a start is called for until it is taken, however early a timer runs, and a few at a time", async () => {
  for (let round = 0; round < 20; round += 1) {
    const ids = await taken((onDue) => {
      const starts = new Starts(onDue);
      for (const id of ["a", "b", "c", "d", "e"]) {
        starts.keep(started(id));
        // Somebody who looks too early gets nothing, and takes nothing away.
        expect(starts.take(9, false)).toEqual([]);
      }
      return starts;
    });
    expect(ids).toEqual(["a", "b", "c", "d", "e"]);
  }
});

test("an outcome is preceded by the start of its own dispatch", () => {
  const starts = new Starts(() => {});
  starts.keep(started("a", 1));
  starts.keep(started("a", 2));
  expect(starts.before(done("a", 2))).toEqual(started("a", 2));
  expect(starts.before(done("a", 2))).toBeUndefined();
  expect(starts.take(9, true)).toEqual([started("a", 1)]);
  starts.clear();
});
