import { describe, expect, test } from "bun:test";
import { EmbeddedBroker } from "../../src/drivers/embedded/broker.ts";
import { beginAnotherLife } from "../../src/drivers/sqlite/another-life.ts";
import { openDatabase } from "../../src/drivers/sqlite/database.ts";
import { MetaRows } from "../../src/drivers/sqlite/meta-rows.ts";
import { preparedOn } from "../../src/drivers/sqlite/prepared.ts";
import type { Job } from "../../src/ports/broker.ts";
import { ANNA, type Core, done, failed, openCore } from "../support/core.ts";

/** Far from what counting dispatches gives. */
const NOW = Date.UTC(2026, 0, 1);

async function submitted(core: Core, count: number, delayMs = 0): Promise<string[]> {
  const ids: string[] = [];
  for (let n = 0; n < count; n += 1) ids.push((await core.tasks.submit(ANNA, "job", {}, { delayMs })).id);
  return ids;
}

describe("a database that goes back to a backup", () => {
  test("sends everything again that has not ended, at no cost, under fences that no life before it has used", async () => {
    await using core = await openCore();
    const [ended, broken, running, stopping, queued] = (await submitted(core, 5)) as [string, string, string, string, string];
    const [scheduled] = await submitted(core, 1, 60_000);
    const [first, second, third] = (await core.claim(4)) as [Job, Job, Job, Job];
    await core.settle(done(first));
    await core.settle(failed(second, null));
    await core.tasks.cancel(ANNA, stopping);
    const { epoch, directory } = core.store;
    const file = core.snapshot();
    const seq = core.store.currentSeq();

    const { db, close } = openDatabase(file);
    expect(beginAnotherLife(db, { epoch: "later", now: NOW })).toBe(3);
    const meta = new MetaRows(preparedOn(db));
    expect([meta.get("epoch"), meta.get("directory"), meta.get("worker")]).toEqual(["later", directory, undefined]);
    close();

    const hub = new EmbeddedBroker({ clock: core.clock, epoch: "e" });
    const work = new Promise<unknown>((resolve) => hub.onWork(resolve));
    await using restored = await openCore({ file, hub, clock: core.clock, wasRunning: () => true });
    expect([epoch === "later", restored.store.epoch, restored.store.directory]).toEqual([false, "later", directory]);
    expect(restored.store.currentSeq()).toBeGreaterThan(seq);
    const status = (id: string | undefined) => restored.store.get(id ?? "")?.status;
    expect([ended, broken, running, stopping, queued, scheduled].map(status)).toEqual([
      "done",
      "failed",
      "queued",
      "cancelled",
      "queued",
      "scheduled",
    ]);
    await work;
    const again = await restored.claim(9);
    expect(again.map(({ id, fence, attempt, alone }) => [id, fence > NOW, attempt, alone])).toEqual([
      [running, true, 1, false],
      [queued, true, 1, false],
    ]);
    // An outcome of the life before changes nothing; those of this one do.
    await restored.settle(done(third));
    expect(status(running)).toBe("in progress");
    for (const job of again) await restored.settle(done(job));
    expect([running, queued].map(status)).toEqual(["done", "done"]);
    await restored.tasks.retry(ANNA, broken);
    expect((await restored.claim(1))[0]?.fence).toBeGreaterThan(NOW);
  });

  test("goes on from higher fences where it has them", async () => {
    await using core = await openCore();
    const [id] = await submitted(core, 1);
    core.db.run("UPDATE tasks SET fence = ?", [NOW + 5]);
    const file = core.snapshot();
    const { db, close } = openDatabase(file);
    beginAnotherLife(db, { epoch: "later", now: NOW });
    expect(db.query("SELECT id, fence, dispatched FROM tasks").values()).toEqual([[id ?? "", NOW + 5, 0]]);
    close();
  });
});
