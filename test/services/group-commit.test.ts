import { describe, expect, test } from "bun:test";
import { Unavailable } from "../../src/domain/errors.ts";
import { ANNA, type Core, openCore } from "../support/core.ts";

const insert = (core: Core, id: string): void => {
  core.db.run("INSERT INTO meta (key, value) VALUES (?, 'x')", [id]);
};
const stored = (core: Core): string[] =>
  core.db
    .query<{ key: string }, []>("SELECT key FROM meta WHERE key LIKE 'test-%' ORDER BY key")
    .all()
    .map(({ key }) => key);
const settled = async (work: readonly Promise<unknown>[]): Promise<string[]> =>
  (await Promise.allSettled(work)).map(({ status }) => status);

describe("group commit", () => {
  test("what one turn hands in is one transaction, in the order in which it came", async () => {
    await using core = await openCore();
    const order: string[] = [];
    let begun = 0;
    const results = [1, 2, 3].map((i) =>
      core.work.grouped(() => {
        begun += core.db.inTransaction ? 1 : 0;
        order.push(`run ${i}`);
        return i;
      }),
    );
    expect(order).toEqual([]);
    expect(await Promise.all(results)).toEqual([1, 2, 3]);
    expect([order, begun, core.db.inTransaction]).toEqual([["run 1", "run 2", "run 3"], 3, false]);
  });

  test("whoever is answered has been committed", async () => {
    await using core = await openCore();
    await core.work.grouped(() => insert(core, "test-a"));
    await using after = await openCore({ file: core.snapshot(), random: core.random, idle: true });
    expect(stored(after)).toEqual(["test-a"]);
  });

  test("a bad item spoils only itself", async () => {
    await using core = await openCore();
    const bad = new Error("bad");
    const work = [
      core.work.grouped(() => insert(core, "test-a")),
      core.work.grouped(() => {
        insert(core, "test-b");
        throw bad;
      }),
      core.work.grouped(() => insert(core, "test-c")),
    ];
    expect(await settled(work)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(await work[1]?.catch((error: unknown) => error)).toBe(bad);
    expect(stored(core)).toEqual(["test-a", "test-c"]);
  });

  test("a rollback takes back what was changed in memory, the last first, after the rows; nothing is told", async () => {
    await using core = await openCore();
    const steps: string[] = [];
    const work = core.work.grouped((tx) => {
      tx.onRollback(() => steps.push(`undo 1, in transaction: ${core.db.inTransaction}`));
      tx.onRollback(() => steps.push("undo 2"));
      tx.afterCommit(() => steps.push("told"));
      throw new Error("bad");
    });
    expect(await settled([work])).toEqual(["rejected"]);
    expect(steps).toEqual(["undo 2", "undo 1, in transaction: false"]);
  });

  test("effects run after the commit, in their order, before anybody is answered", async () => {
    await using core = await openCore();
    const steps: string[] = [];
    const item = (name: string) =>
      core.work
        .grouped((tx) => {
          tx.afterCommit(() => steps.push(`${name} 1, in transaction: ${core.db.inTransaction}`));
          tx.afterCommit(() => steps.push(`${name} 2`));
        })
        .then(() => steps.push(`${name} answered`));
    await Promise.all([item("a"), item("b")]);
    expect(steps).toEqual(["a 1, in transaction: false", "a 2", "b 1, in transaction: false", "b 2", "a answered", "b answered"]);
  });

  test("an effect can hand in work of its own", async () => {
    await using core = await openCore();
    const inner = Promise.withResolvers<void>();
    await core.work.grouped((tx) =>
      tx.afterCommit(() => core.work.grouped(() => insert(core, "test-inner")).then(inner.resolve)),
    );
    await inner.promise;
    expect(stored(core)).toEqual(["test-inner"]);
  });

  test("work of one's own is committed before it returns, and undone when it throws", async () => {
    await using core = await openCore();
    const told: string[] = [];
    core.work.now((tx) => {
      insert(core, "test-a");
      tx.afterCommit(() => told.push("a"));
    });
    expect(() =>
      core.work.now((tx) => {
        insert(core, "test-b");
        tx.afterCommit(() => told.push("b"));
        tx.onRollback(() => told.push("undone"));
        throw new Error("bad");
      }),
    ).toThrow("bad");
    expect([stored(core), told]).toEqual([["test-a"], ["a", "undone"]]);
  });

  test("memory and rows stay the same when a group with submissions is rolled back", async () => {
    await using core = await openCore();
    await core.tasks.submit(ANNA, "job", {});
    const work = [
      core.tasks.submit(ANNA, "job", {}),
      core.tasks.cancel(ANNA, "nobody"),
      core.tasks.submit(ANNA, "job", { text: "x".repeat(5_000) }),
    ];
    expect(await settled(work)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect([core.quotas.total, core.window.inBroker, core.store.countPending(), core.store.countPending(1)]).toEqual([
      3, 3, 3, 3,
    ]);
    expect((await core.claim(9)).map(({ fence }) => fence)).toEqual([1, 1, 1]);
    expect(core.notices.all.filter(({ task }) => task.status === "queued")).toHaveLength(3);
  });

  test("the disk's trouble is everybody's: a group is not tried again one by one", async () => {
    await using core = await openCore();
    let runs = 0;
    const work = [1, 2, 3].map(() =>
      core.work.grouped(() => {
        runs += 1;
        throw Object.assign(new Error("no room"), { code: "SQLITE_FULL" });
      }),
    );
    expect(await settled(work)).toEqual(["rejected", "rejected", "rejected"]);
    expect([runs, core.work.trouble()]).toEqual([1, undefined]);
  });

  test("the disk's trouble is told as unavailable, nothing of it is kept, and it passes", async () => {
    await using core = await openCore();
    core.db.run("PRAGMA query_only = ON");
    const error = await core.tasks.submit(ANNA, "job", {}).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(Unavailable);
    expect([core.quotas.total, core.window.inBroker]).toEqual([0, 0]);
    expect(core.work.trouble()).toMatch(/./);
    core.db.run("PRAGMA query_only = OFF");
    expect(core.work.trouble()).toBeUndefined();
    const task = await core.tasks.submit(ANNA, "job", {});
    expect((await core.claim()).map(({ id }) => id)).toEqual([task.id]);
  });
});
