import { describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Job } from "../../src/ports/broker.ts";
import { ANNA, failed, manual, openCore, policy } from "../support/core.ts";

// The preload's limit holds for the first file of a run only.
setDefaultTimeout(30_000);

describe("the scheduler", () => {
  test("queues a delayed task when its time has come, and not before", async () => {
    await using core = await openCore();
    const task = await core.tasks.submit(ANNA, "job", {}, { delayMs: 5_000 });
    expect(task).toMatchObject({ status: "scheduled", runAt: core.clock.now() + 5_000 });
    manual(core).advance(4_999);
    expect(await core.scheduler.tick()).toBe(0);
    expect(await core.claim()).toEqual([]);
    manual(core).advance(1);
    expect(await core.scheduler.tick()).toBe(1);
    expect(await core.claim()).toMatchObject([{ id: task.id, attempt: 1 }]);
    expect(core.notices.statuses(task.id)).toEqual(["scheduled", "queued", "in progress"]);
  });

  test("queues a failed attempt's next one after its wait, with the next number", async () => {
    await using core = await openCore();
    const task = await core.tasks.submit(ANNA, "job", {});
    for (const attempt of [1, 2, 3]) {
      const [job] = (await core.claim()) as [Job];
      expect(job).toMatchObject({ attempt, fence: attempt });
      await core.settle(failed(job, 200));
      if (attempt === 3) break;
      expect(core.store.get(task.id)).toMatchObject({ status: "retrying", attempt, error: { code: "error" }, runAt: 201 });
      manual(core).advance(200);
      expect(await core.scheduler.tick()).toBe(1);
      expect(core.store.get(task.id)?.error).toBeNull();
    }
    expect(core.store.get(task.id)).toMatchObject({
      status: "failed",
      attempt: 3,
      error: { code: "error", message: "it broke" },
    });
  });

  test("the earliest goes first, whatever the order in which they came", async () => {
    await using core = await openCore();
    const delays = [300, 100, 200];
    const sent = await Promise.all(delays.map((delayMs) => core.tasks.submit(ANNA, "job", {}, { delayMs })));
    manual(core).advance(300);
    expect(await core.scheduler.tick()).toBe(3);
    expect((await core.claim(3)).map(({ id }) => id)).toEqual([1, 2, 0].map((i) => (sent[i] as { id: string }).id));
  });

  test("more than one batch comes due at once", async () => {
    await using core = await openCore();
    await core.tasks.submitBatch(
      ANNA,
      "job",
      Array.from({ length: 1_200 }, () => ({})),
      { delayMs: 10 },
    );
    manual(core).advance(10);
    expect(await core.scheduler.tick()).toBe(1_200);
    expect(await core.scheduler.tick()).toBe(0);
    expect(core.store.nextDueAt()).toBeUndefined();
  });

  test("rings by itself, also for an earlier time than the one that it waits for, and at start for what is overdue", async () => {
    await using core = await openCore({ clock: { now: Date.now } });
    const overdue = await core.tasks.submit(ANNA, "job", {}, { delayMs: 1 });
    const late = await core.tasks.submit(ANNA, "job", {}, { delayMs: 3_600_000 });
    core.scheduler.start();
    await core.notices.status(overdue.id, "queued");
    const soon = await core.tasks.submit(ANNA, "job", {}, { delayMs: 20 });
    await core.notices.status(soon.id, "queued");
    const [job] = (await core.claim(1)) as [Job];
    await core.settle(failed(job, 10));
    await core.notices.status(job.id, "queued", 2);
    expect(core.store.get(late.id)?.status).toBe("scheduled");
  });

  test("a cancelled one never comes due", async () => {
    await using core = await openCore();
    const task = await core.tasks.submit(ANNA, "job", {}, { delayMs: 10 });
    await core.tasks.cancel(ANNA, task.id);
    manual(core).advance(10);
    expect(await core.scheduler.tick()).toBe(0);
  });

  test("a commit that fails is tried again", async () => {
    await using core = await openCore({ clock: { now: Date.now } });
    const due = core.store.due.bind(core.store);
    let failures = 1;
    core.store.due = (...args) => {
      if (failures-- > 0) throw new Error("no disk");
      return due(...args);
    };
    const task = await core.tasks.submit(ANNA, "job", {}, { delayMs: 1 });
    core.scheduler.start();
    await core.notices.status(task.id, "queued");
    expect(core.lines.map(({ message }) => message)).toContain("could not queue due tasks");
  });

  test("stopped, it rings no more, and what was under way is over", async () => {
    await using core = await openCore({ clock: { now: Date.now }, policies: [policy("job")] });
    const task = await core.tasks.submit(ANNA, "job", {}, { delayMs: 1 });
    core.scheduler.start();
    await core.notices.status(task.id, "queued");
    await core.tasks.submitBatch(ANNA, "job", [{}, {}], { delayMs: 1 });
    await core.scheduler.stop();
    await core.scheduler.stop();
    core.scheduler.expect(Date.now());
    expect(core.db.inTransaction).toBe(false);
  });
});
