import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { Conflict, InvalidInput, NotFound, TooMany } from "../../src/domain/errors.ts";
import type { Job } from "../../src/ports/broker.ts";
import { ADMIN, ANNA, BEN, type Core, done, failed, manual, openCore, policy } from "../support/core.ts";

// The preload's limit holds for the first file of a run only.
setDefaultTimeout(30_000);

const caught = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  );
const rowCount = (core: Core): number => core.db.query<{ n: number }, []>("SELECT count(*) AS n FROM tasks").get()?.n ?? -1;

describe("submitting", () => {
  test("invariant 1: what is accepted is a committed row, with everything that was asked", async () => {
    await using core = await openCore();
    const task = await core.tasks.submit(ANNA, "job", { x: 5 }, { priority: "high" });
    await using after = await openCore({ file: core.snapshot(), random: core.random, idle: true });
    expect(after.tasks.show(ANNA, task.id)).toMatchObject({
      owner: 1,
      ownerId: "anna",
      name: "job",
      args: '{"x":5}',
      priority: "high",
      attempt: 1,
      maxAttempts: 3,
    });
  });

  test("unknown tasks and wrong inputs are refused, with the place of what is wrong", async () => {
    await using core = await openCore();
    expect(await caught(core.tasks.submit(ANNA, "nothing", {}))).toMatchObject({ code: "unknown_task" });
    const error = (await caught(core.tasks.submit(ANNA, "job", { x: "1", "a/b": 1 }))) as InvalidInput;
    expect(error).toBeInstanceOf(InvalidInput);
    expect(error.problems).toEqual(
      expect.arrayContaining([
        { path: "/a~1b", message: "unknown field" },
        { path: "/x", message: expect.any(String) },
      ]),
    );
    expect(rowCount(core)).toBe(0);
  });

  test("defaults are filled in before the input is stored", async () => {
    const input = { type: "object", properties: { pages: { type: "integer", default: 1 } }, additionalProperties: false };
    await using core = await openCore({ policies: [policy("job", { input })] });
    expect(core.tasks.show(ANNA, (await core.tasks.submit(ANNA, "job", {})).id).args).toBe('{"pages":1}');
  });

  test("an Idempotency-Key gives the same task for the same input, whatever its fields' order", async () => {
    await using core = await openCore();
    const first = await core.tasks.submit(ANNA, "job", { x: 1, text: "a" }, { idempotencyKey: "k" });
    const again = await core.tasks.submit(ANNA, "job", { text: "a", x: 1 }, { idempotencyKey: "k" });
    expect(again.id).toBe(first.id);
    expect(await caught(core.tasks.submit(ANNA, "job", { x: 2 }, { idempotencyKey: "k" }))).toMatchObject({
      code: "idempotency_conflict",
    });
    expect(await caught(core.tasks.submit(ANNA, "job", { x: 2 }, { idempotencyKey: "k" }))).toBeInstanceOf(Conflict);
    expect(rowCount(core)).toBe(1);
  });

  test("at the same time too, and per user and task only", async () => {
    await using core = await openCore();
    const key = { idempotencyKey: "k" };
    const same = await Promise.all(Array.from({ length: 20 }, () => core.tasks.submit(ANNA, "job", {}, key)));
    expect(new Set(same.map(({ id }) => id)).size).toBe(1);
    const others = [
      await core.tasks.submit(BEN, "job", {}, key),
      await core.tasks.submit(ANNA, "other", {}, key),
      await core.tasks.submit(ANNA, "job", {}),
    ];
    expect(new Set([...same, ...others].map(({ id }) => id)).size).toBe(4);
    const ended = same[0] as { id: string };
    await core.tasks.cancel(ANNA, ended.id);
    expect((await core.tasks.submit(ANNA, "job", {}, key)).id).toBe(ended.id);
  });

  test("a conflict spoils nobody else's submission in the same group", async () => {
    await using core = await openCore();
    await core.tasks.submit(ANNA, "job", { x: 1 }, { idempotencyKey: "k" });
    const results = await Promise.allSettled([
      core.tasks.submit(BEN, "job", {}),
      core.tasks.submit(ANNA, "job", { x: 2 }, { idempotencyKey: "k" }),
      core.tasks.submit(BEN, "other", {}),
    ]);
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect([rowCount(core), core.quotas.total, core.window.inBroker]).toEqual([3, 3, 3]);
    expect(await core.claim(9)).toHaveLength(3);
  });

  test("a batch is accepted whole, in order, or not at all", async () => {
    await using core = await openCore({ quotas: { total: 100, perOwner: 5 } });
    const tasks = await core.tasks.submitBatch(ANNA, "job", [{ x: 1 }, { x: 2 }, { x: 3 }]);
    expect((await core.claim(9)).map(({ args }) => args)).toEqual(['{"x":1}', '{"x":2}', '{"x":3}']);
    expect(new Set(tasks.map(({ id }) => id)).size).toBe(3);
    const invalid = (await caught(core.tasks.submitBatch(ANNA, "job", [{}, { x: "no" }]))) as InvalidInput;
    expect(invalid.problems).toMatchObject([{ path: "/1/x" }]);
    expect(await caught(core.tasks.submitBatch(ANNA, "job", [{}, {}, {}]))).toBeInstanceOf(TooMany);
    expect([rowCount(core), core.quotas.total]).toEqual([3, 3]);
  });
});

describe("cancelling", () => {
  test("what waits is cancelled at once: scheduled, outside the window, inside, retrying", async () => {
    await using core = await openCore({ window: { lane: 1, total: 10, bytes: 1_000 } });
    const scheduled = await core.tasks.submit(ANNA, "job", {}, { delayMs: 10 });
    const [inside, outside] = (await core.tasks.submitBatch(ANNA, "job", [{}, {}])) as unknown as [
      { id: string },
      { id: string },
    ];
    const retrying = await core.tasks.submit(BEN, "other", {});
    await core.settle(failed((await core.hub.claim({ worker: "w", max: 1, tasks: ["other"], alone: false }))[0] as Job, 50));
    for (const { id } of [scheduled, outside, inside, retrying]) {
      expect(await core.tasks.cancel(ADMIN, id)).toMatchObject({
        status: "cancelled",
        error: { code: "cancelled" },
        finishedAt: core.clock.now(),
      });
      expect(await caught(core.tasks.cancel(ADMIN, id))).toMatchObject({ code: "task_ended" });
    }
    manual(core).advance(100);
    expect(await core.scheduler.tick()).toBe(0);
    expect([await core.claim(9), core.quotas.total, core.window.inBroker, core.window.waiting]).toEqual([[], 0, 0, 0]);
  });

  test("what runs is asked to stop, and ends as its worker says", async () => {
    await using core = await openCore();
    const tasks = await core.tasks.submitBatch(ANNA, "job", [{}, {}, {}, {}]);
    const jobs = await core.claim(4);
    for (const { id } of tasks)
      expect(await core.tasks.cancel(ANNA, id)).toMatchObject({ status: "in progress", cancelRequested: true });
    const [a, b, c, d] = jobs as [Job, Job, Job, Job];
    await core.settle({ kind: "cancelled", id: a.id, fence: 1, at: 1 });
    await core.settle(done(b));
    await core.settle(failed(c, 10));
    await core.settle({ kind: "released", id: d.id, fence: 1, at: 1 });
    expect(tasks.map(({ id }) => core.store.get(id)?.status)).toEqual(["cancelled", "done", "cancelled", "cancelled"]);
  });

  test("a cancel while the claim is on its way ends the task, and no worker gets it", async () => {
    await using core = await openCore();
    const task = await core.tasks.submit(ANNA, "job", {});
    const [claimed] = await Promise.all([core.claim(), core.tasks.cancel(ANNA, task.id)]);
    if (claimed.length > 0) await core.settle({ kind: "cancelled", id: task.id, fence: 1, at: 1 });
    await core.notices.ended(task.id);
    expect(core.store.get(task.id)?.status).toBe("cancelled");
    expect(core.quotas.total).toBe(0);
  });
});

describe("retrying", () => {
  test("starts a failed or cancelled task's life again under its next fence", async () => {
    await using core = await openCore();
    const task = await core.tasks.submit(ANNA, "job", {});
    await core.settle(failed((await core.claim())[0] as Job, null));
    expect(await core.tasks.retry(ANNA, task.id)).toMatchObject({
      status: "queued",
      attempt: 1,
      error: null,
      startedAt: null,
      finishedAt: null,
      progress: null,
    });
    const [job] = (await core.claim()) as [Job];
    expect(job).toMatchObject({ id: task.id, attempt: 1, fence: 2 });
    await core.settle(done(job, "1"));
    expect(core.tasks.show(ANNA, task.id)).toMatchObject({ status: "done", result: "1" });
    expect(core.quotas.total).toBe(0);
  });

  test("anything else is a conflict, and its quota is heeded", async () => {
    await using core = await openCore({ quotas: { total: 10, perOwner: 1 } });
    const task = await core.tasks.submit(ANNA, "job", {});
    expect(await caught(core.tasks.retry(ANNA, task.id))).toMatchObject({ code: "task_not_ended" });
    await core.tasks.cancel(ANNA, task.id);
    const second = await core.tasks.submit(ANNA, "job", {});
    expect(await caught(core.tasks.retry(ANNA, task.id))).toBeInstanceOf(TooMany);
    await core.settle(done((await core.claim())[0] as Job));
    expect(await caught(core.tasks.retry(ANNA, second.id))).toBeInstanceOf(Conflict);
    expect((await core.tasks.retry(ANNA, task.id)).status).toBe("queued");
  });
});

describe("who may", () => {
  test("invariant 7: somebody else's task is one that does not exist, word for word; an admin may", async () => {
    await using core = await openCore();
    const { id } = await core.tasks.submit(ANNA, "job", {});
    const { show, logs, cancel, retry } = {
      show: async (who: typeof ANNA, of: string) => core.tasks.show(who, of),
      logs: async (who: typeof ANNA, of: string) => core.tasks.logs(who, of),
      cancel: (who: typeof ANNA, of: string) => core.tasks.cancel(who, of),
      retry: (who: typeof ANNA, of: string) => core.tasks.retry(who, of),
    };
    for (const call of [show, logs, cancel, retry]) {
      const [others, missing] = [(await caught(call(BEN, id))) as NotFound, (await caught(call(BEN, "nobody"))) as NotFound];
      expect(others).toBeInstanceOf(NotFound);
      expect([others.code, others.message]).toEqual([missing.code, missing.message]);
    }
    expect(core.store.get(id)).toMatchObject({ status: "queued", cancelRequested: false });
    expect(core.tasks.show(ADMIN, id).id).toBe(id);
    expect((await core.tasks.cancel(ADMIN, id)).status).toBe("cancelled");
  });

  test("lists show one's own, and others' to an admin alone", async () => {
    await using core = await openCore();
    const [mine] = await core.tasks.submitBatch(ANNA, "job", [{}]);
    await core.tasks.submit(BEN, "job", {});
    const owners = (caller: typeof ANNA, owner?: number | "all") =>
      core.tasks.list(caller, { limit: 9, ...(owner === undefined ? {} : { owner }) }).items.map(({ ownerId }) => ownerId);
    for (const owner of [undefined, 1, 2, "all"] as const) expect(owners(ANNA, owner)).toEqual(["anna"]);
    expect(owners(ADMIN)).toEqual([]);
    expect(owners(ADMIN, 2)).toEqual(["ben"]);
    expect(owners(ADMIN, "all")).toEqual(["ben", "anna"]);
    expect(core.tasks.list(ANNA, { limit: 9 }).items[0]).not.toHaveProperty("args");
    expect(core.tasks.list(ANNA, { limit: 9 }).items[0]?.id).toBe((mine as { id: string }).id);
  });
});
