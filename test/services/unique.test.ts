import { describe, expect, test } from "bun:test";
import type { TaskPolicy } from "../../src/domain/definition.ts";
import type { Unique } from "../../src/domain/unique.ts";
import type { Job } from "../../src/ports/broker.ts";
import { ANNA, BEN, done, failed, manual, openCore, policy } from "../support/core.ts";

const any = (name: string, unique?: Unique): TaskPolicy => ({ ...policy(name), input: { type: "object" }, unique });
const open = () => openCore({ policies: [any("job", ["url"]), any("all", true), any("free")] });

describe("a unique task", () => {
  test("while one waits or runs, the next one with the same key is that one", async () => {
    await using core = await open();
    const first = await core.tasks.submit(ANNA, "job", { url: "a", n: 1 });
    expect((await core.tasks.submit(ANNA, "job", { url: "a", n: 2 })).id).toBe(first.id);
    expect((await core.tasks.submit(ANNA, "job", { url: "b" })).id).not.toBe(first.id);
    const [job] = (await core.claim()) as [Job];
    expect(await core.tasks.submit(ANNA, "job", { url: "a" })).toMatchObject({ id: first.id, status: "in progress" });
    await core.settle(failed(job, 100));
    expect(await core.tasks.submit(ANNA, "job", { url: "a" })).toMatchObject({ id: first.id, status: "retrying" });
    manual(core).advance(100);
    await core.scheduler.tick();
    // The other url's turn comes first.
    for (const next of await core.claim(2)) await core.settle(done(next));
    expect(core.store.get(first.id)?.status).toBe("done");
    const second = await core.tasks.submit(ANNA, "job", { url: "a" });
    expect([second.id === first.id, second.status]).toEqual([false, "queued"]);
  });

  test("is so for its owner and its name alone; other tasks are as many as are submitted", async () => {
    await using core = await open();
    const ids = new Set<string>();
    for (const [who, name] of [
      [ANNA, "job"],
      [BEN, "job"],
      [ANNA, "all"],
      [ANNA, "free"],
      [ANNA, "free"],
    ] as const)
      ids.add((await core.tasks.submit(who, name, { url: "a" })).id);
    expect(ids.size).toBe(5);
  });

  test("holds in a batch, at the same time, after a restart, and beside a delayed one", async () => {
    await using core = await open();
    const batch = await core.tasks.submitBatch(ANNA, "all", [{ a: 1, b: 2 }, { b: 2, a: 1 }, { a: 1 }], { delayMs: 1_000 });
    expect([batch[0]?.id === batch[1]?.id, batch[0]?.id === batch[2]?.id]).toEqual([true, false]);
    const many = await Promise.all(Array.from({ length: 20 }, () => core.tasks.submit(ANNA, "all", { b: 2, a: 1 })));
    expect(new Set(many.map(({ id }) => id))).toEqual(new Set([batch[0]?.id ?? ""]));
    await using again = await openCore({
      file: core.snapshot(),
      clock: core.clock,
      policies: core.definitions.all(),
    });
    expect((await again.tasks.submit(ANNA, "all", { a: 1, b: 2 })).id).toBe(batch[0]?.id ?? "");
  });

  test("that is retried by its owner needs its key: another one may have it", async () => {
    await using core = await open();
    const first = await core.tasks.submit(ANNA, "job", { url: "a" });
    await core.tasks.cancel(ANNA, first.id);
    const second = await core.tasks.submit(ANNA, "job", { url: "a" });
    await expect(core.tasks.retry(ANNA, first.id)).rejects.toMatchObject({ code: "not_unique" });
    await core.tasks.cancel(ANNA, second.id);
    await core.tasks.retry(ANNA, first.id);
    expect((await core.tasks.submit(ANNA, "job", { url: "a" })).id).toBe(first.id);
  });

  test("stands for the Idempotency-Key that it was the answer to, with the input that came, after its end too", async () => {
    await using core = await open();
    const key = { idempotencyKey: "k" };
    const first = await core.tasks.submit(ANNA, "job", { url: "a", n: 1 });
    expect((await core.tasks.submit(ANNA, "job", { url: "a", n: 2 }, key)).id).toBe(first.id);
    const repeat = (input: object) => core.tasks.submit(ANNA, "job", input, key);
    expect((await repeat({ n: 2, url: "a" })).id).toBe(first.id);
    for (const other of [
      { url: "b", n: 2 },
      { url: "a", n: 1 },
    ]) {
      await expect(repeat(other)).rejects.toMatchObject({ code: "idempotency_conflict" });
    }
    for (const job of await core.claim()) await core.settle(done(job));
    expect(await repeat({ url: "a", n: 2 })).toMatchObject({ id: first.id, status: "done" });
    await expect(repeat({ url: "a", n: 1 })).rejects.toMatchObject({ code: "idempotency_conflict" });
    // Nobody else's, and no other task's.
    const others = [
      await core.tasks.submit(BEN, "job", { url: "a", n: 2 }, key),
      await core.tasks.submit(ANNA, "all", { url: "a", n: 2 }, key),
    ];
    expect(others.map(({ id }) => id)).not.toContain(first.id);
    await using again = await openCore({ file: core.snapshot(), clock: core.clock, policies: [any("job")] });
    // Whatever the task's file says by now.
    expect((await again.tasks.submit(ANNA, "job", { url: "a", n: 2 }, key)).id).toBe(first.id);
    expect((await again.tasks.submit(ANNA, "job", { url: "a", n: 2 })).id).not.toBe(first.id);
  });

  test("answers any number of keys, its own too, and each stands for it", async () => {
    await using core = await open();
    const submit = (idempotencyKey: string) => core.tasks.submit(ANNA, "all", { url: "a" }, { idempotencyKey });
    const keys = Array.from({ length: 20 }, (_, i) => `k${i % 5}`);
    const { id } = await submit("own");
    await Promise.all(keys.map(submit));
    await core.tasks.cancel(ANNA, id);
    for (const key of ["own", ...keys]) expect((await submit(key)).id).toBe(id);
    expect(core.db.query("SELECT count(*) AS n FROM answered_keys").get()).toEqual({ n: 5 });
    expect((await submit("new")).id).not.toBe(id);
  });

  test("retention takes the Idempotency-Keys along that it was the answer to", async () => {
    await using core = await open();
    const { id } = await core.tasks.submit(ANNA, "job", { url: "a" });
    const repeat = () => core.tasks.submit(ANNA, "job", { url: "a" }, { idempotencyKey: "k" });
    expect((await repeat()).id).toBe(id);
    expect(core.db.query("SELECT count(*) AS n FROM answered_keys").get()).toEqual({ n: 1 });
    await core.tasks.cancel(ANNA, id);
    manual(core).advance(1_000);
    core.store.purge(core.clock.now(), 0, 10);
    expect(core.db.query("SELECT count(*) AS n FROM answered_keys").get()).toEqual({ n: 0 });
    expect(await repeat()).toMatchObject({ status: "queued" });
  });

  test("retention takes its key along", async () => {
    await using core = await open();
    const { id } = await core.tasks.submit(ANNA, "job", { url: "a" });
    await core.tasks.cancel(ANNA, id);
    manual(core).advance(1_000);
    core.store.purge(core.clock.now(), 0, 10);
    expect(core.db.query("SELECT count(*) AS n FROM unique_keys").get()).toEqual({ n: 0 });
    expect((await core.tasks.submit(ANNA, "job", { url: "a" })).status).toBe("queued");
  });
});
