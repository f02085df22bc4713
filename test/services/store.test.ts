import { describe, expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { accept, cancel, STATUSES, type Status } from "../../src/domain/task.ts";
import { statusCode } from "../../src/drivers/sqlite/task-rows.ts";
import type { Job } from "../../src/ports/broker.ts";
import type { PageQuery, StoredTask } from "../../src/ports/tasks.ts";
import { ADMIN, ANNA, BEN, type Core, done, failed, manual, openCore, released } from "../support/core.ts";
import { ManualClock } from "../support/manual-runtime.ts";

// The preload's limit holds for the first file of a run only.
setDefaultTimeout(30_000);

const NAMES = ["job", "other"] as const;

/** Rows of any status, as a test needs them; only their columns matter. */
function fill(core: Core, rows: readonly { owner: number; status: Status; name: string }[]): StoredTask[] {
  return core.work.now(() =>
    rows.map(({ owner, status, name }) => {
      const id = core.store.newId(core.clock.now());
      const task = {
        ...accept({ id, owner, name, queue: "default", priority: "normal", maxAttempts: 1, delayMs: 0 }, 0),
        status,
      };
      return core.store.insert(task, core.store.nextSeq(), owner === 1 ? "anna" : "ben", "{}", null);
    }),
  );
}

/** All pages, one after the other, and how many rows the pages held. */
function walk(core: Core, query: Omit<PageQuery, "before">): { ids: string[]; sizes: number[] } {
  const ids: string[] = [];
  const sizes: number[] = [];
  for (let before: number | undefined; sizes.length < 1_000; ) {
    const page = core.store.page({ ...query, before });
    ids.push(...page.items.map(({ id }) => id));
    sizes.push(page.items.length);
    if (page.next === null) break;
    before = page.next;
  }
  return { ids, sizes };
}

describe("pages", () => {
  test("with every combination of filters, walking them gives each task that fits once, the newest first", async () => {
    const rows = fc.array(
      fc.record({ owner: fc.constantFrom(1, 2), status: fc.constantFrom(...STATUSES), name: fc.constantFrom(...NAMES) }),
      { maxLength: 40, size: "max" },
    );
    const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
    const queries = fc.record({
      owner: maybe(fc.constantFrom(1, 2)),
      status: maybe(fc.constantFrom(...STATUSES)),
      name: maybe(fc.constantFrom(...NAMES)),
      limit: fc.integer({ min: 1, max: 9 }),
    });
    await using core = await openCore({ idle: true });
    fc.assert(
      fc.property(rows, queries, (content, query) => {
        core.db.run("DELETE FROM tasks");
        const fits = (task: StoredTask) => [
          query.owner === undefined || task.owner === query.owner,
          query.status === undefined || task.status === query.status,
          query.name === undefined || task.name === query.name,
        ];
        const expected = fill(core, content)
          .filter((task) => fits(task).every(Boolean))
          .map(({ id }) => id)
          .reverse();
        const { ids, sizes } = walk(core, query);
        expect(ids).toEqual(expected);
        expect(sizes).toHaveLength(Math.max(1, Math.ceil(expected.length / query.limit)));
      }),
      { numRuns: 150 },
    );
  });

  test("a task accepted while somebody pages is on no later page", async () => {
    await using core = await openCore({ idle: true });
    const old = await core.tasks.submitBatch(ANNA, "job", [{}, {}, {}]);
    const first = core.tasks.list(ANNA, { limit: 2 });
    await core.tasks.submit(ANNA, "job", {});
    const second = core.tasks.list(ANNA, { limit: 2, before: first.next as number });
    expect([...first.items, ...second.items].map(({ id }) => id)).toEqual(old.map(({ id }) => id).reverse());
    expect(second.next).toBeNull();
  });

  test("invariant 8: a filter that finds nothing looks at a bounded number of rows, and its cursor goes on from there", async () => {
    await using core = await openCore({ idle: true });
    core.db.run("INSERT INTO lanes (n, owner, queue, name, priority) VALUES (1, 1, 'default', 'job', 1)");
    core.db.run(
      `WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 25000)
       INSERT INTO tasks (n, id, owner, lane, status, seq, attempt, max_attempts, fence, dispatched, deaths, cancel_requested, created_at, run_at, args)
       SELECT n, 'old-' || n, 1, 1, CASE n WHEN 1 THEN ${statusCode("failed")} ELSE ${statusCode("done")} END, n, 1, 1, 1, 0, 0, 0, 0, 0, '{}' FROM i`,
    );
    for (const query of [
      { status: "failed" },
      { status: "failed", name: "job" },
      { status: "failed", name: "job", owner: 1 },
    ] as const) {
      const { ids, sizes } = walk(core, { limit: 50, ...query });
      expect(ids).toEqual(["old-1"]);
      expect(sizes).toEqual("owner" in query ? [1] : [0, 0, 1]);
    }
    expect(walk(core, { limit: 50, name: "other", status: "done" })).toEqual({ ids: [], sizes: [0, 0, 0] });
  });
});

describe("what changed since", () => {
  test("is each task once, at its latest, in seq order, of one owner or of all", async () => {
    await using core = await openCore();
    const anna = await core.tasks.submitBatch(ANNA, "job", [{}, {}, {}]);
    const mark = core.store.currentSeq();
    await core.tasks.submit(BEN, "job", {});
    const jobs = (await core.claim(9)).filter(({ owner }) => owner === "anna");
    await core.settle(done(jobs[1] as never));
    await core.settle(released(jobs[0] as never));
    const upTo = core.store.currentSeq();
    const changed = core.store.changed({ after: mark, upTo, owner: 1 }, 99, 100);
    expect(changed.map(({ id }) => id).sort()).toEqual(anna.map(({ id }) => id).sort());
    expect(changed.map(({ seq }) => seq)).toEqual(changed.map(({ seq }) => seq).sort((a, b) => a - b));
    expect(changed.slice(-2).map(({ id, status }) => `${id} ${status}`)).toEqual([
      `${jobs[1]?.id} done`,
      `${jobs[0]?.id} queued`,
    ]);
    expect(core.store.changed({ after: mark, upTo }, 99, 100)).toHaveLength(4);
    expect(core.store.changed({ after: mark, upTo: mark }, 99, 100)).toEqual([]);
    expect(core.store.changed({ after: upTo, upTo: upTo + 9 }, 99, 100)).toEqual([]);
    expect(core.store.countChanged({ after: mark, upTo, owner: 1 }, 99)).toBe(3);
    expect(core.store.countChanged({ after: mark, upTo }, 2)).toBe(2);
    expect(core.store.changed({ after: 0, upTo, owner: 1 }, 2, 100)).toHaveLength(2);
  });

  test("leaves long results out, and says so", async () => {
    await using core = await openCore();
    await core.tasks.submitBatch(ANNA, "job", [{}, {}]);
    const [short, long] = (await core.claim(2)) as [Job, Job];
    await core.settle(done(short, '"ä"'));
    await core.settle(done(long, '"ää"'));
    const changed = core.store.changed({ after: 0, upTo: core.store.currentSeq() }, 9, 5);
    expect(changed.map(({ result, truncated }) => [result, truncated])).toEqual([
      ['"ä"', false],
      [null, true],
    ]);
  });

  test("seq never goes back, not after a restart either, nor where the newest tasks were purged", async () => {
    await using core = await openCore();
    const task = await core.tasks.submit(ANNA, "job", {});
    await core.tasks.cancel(ANNA, task.id);
    const newest = core.store.currentSeq();
    core.work.now(() => core.store.purge(Number.MAX_SAFE_INTEGER, 0, 10));
    await using after = await openCore({ file: core.snapshot(), random: core.random });
    expect(after.store.currentSeq()).toBeGreaterThanOrEqual(newest);
    expect(after.store.purgedSeq()).toBe(newest);
  });
});

describe("purging", () => {
  /** When all tasks of these tests are accepted. */
  const T = new ManualClock().now();

  /** Tasks that ended at these times, oldest first; others that never end in between. */
  async function ended(core: Core, times: readonly number[]): Promise<string[]> {
    const ids: string[] = [];
    for (const at of times) {
      await core.tasks.submit(BEN, "other", {}, { delayMs: 1e9 });
      const [task] = (await core.tasks.submitBatch(ANNA, "job", [{}])) as [StoredTask];
      core.work.now(() => core.store.update(task, { ...task, ...cancel(task, T + at), seq: core.store.nextSeq() }));
      ids.push(task.id);
    }
    return ids;
  }

  test("removes what ended before a time and leaves the rest, with what waits in between", async () => {
    await using core = await openCore({ idle: true });
    const ids = await ended(core, [10, 20, 30, 40]);
    expect(core.work.now(() => core.store.purge(T + 30, 0, 100))).toEqual({ removed: 2, next: null });
    expect(ids.map((id) => core.store.get(id)?.status)).toEqual([undefined, undefined, "cancelled", "cancelled"]);
    expect(core.store.page({ owner: 2, limit: 9 }).items).toHaveLength(4);
    expect(core.work.now(() => core.store.purge(T + 30, 0, 100))).toEqual({ removed: 0, next: null });
  });

  test("how far it went is known after a restart, also where it ended at one that is too new", async () => {
    await using core = await openCore({ idle: true });
    await ended(core, [10, 20, 30, 40]);
    core.work.now(() => core.store.purge(T + 30, 0, 100));
    expect(core.store.purgedSeq()).toBeGreaterThan(0);
    await using after = await openCore({ file: core.snapshot(), random: core.random, idle: true });
    expect(after.store.purgedSeq()).toBe(core.store.purgedSeq());
  });

  test("goes on where it left off, a limited number at a time", async () => {
    await using core = await openCore({ idle: true });
    await ended(core, [1, 2, 3, 4, 5]);
    const steps: number[] = [];
    for (let from: number | null = 0; from !== null && steps.length < 10; ) {
      const at: number = from;
      const { removed, next } = core.work.now(() => core.store.purge(T + 100, at, 2));
      steps.push(removed);
      from = next;
    }
    expect(steps).toEqual([2, 2, 1]);
  });

  test("steps over thousands that have not ended", async () => {
    await using core = await openCore({ idle: true });
    for (let i = 0; i < 3; i += 1)
      await core.tasks.submitBatch(
        BEN,
        "other",
        Array.from({ length: 1_000 }, () => ({})),
        { delayMs: 1e9 },
      );
    await ended(core, [1]);
    let removed = 0;
    let looks = 0;
    for (let from: number | null = 0; from !== null && looks < 10; looks += 1) {
      const at: number = from;
      const step = core.work.now(() => core.store.purge(T + 100, at, 10));
      removed += step.removed;
      from = step.next;
    }
    expect([removed, looks]).toEqual([1, 2]);
  });

  test("takes the logs along, and frees the Idempotency-Key", async () => {
    await using core = await openCore();
    const { id } = await core.tasks.submit(ANNA, "job", {}, { idempotencyKey: "k" });
    const [job] = await core.claim();
    await core.settle({ ...done(job as never), log: [{ at: 1, level: "info", message: "line" }] });
    core.work.now(() => core.store.purge(Number.MAX_SAFE_INTEGER, 0, 10));
    expect(core.db.query("SELECT count(*) AS n FROM task_logs").get()).toEqual({ n: 0 });
    expect((await core.tasks.submit(ANNA, "job", {}, { idempotencyKey: "k" })).id).not.toBe(id);
  });
});

describe("quotas", () => {
  test("count what waits and runs, per owner and in all, whatever becomes of it", async () => {
    await using core = await openCore({ quotas: { total: 6, perOwner: 4 } });
    const refused = (work: Promise<unknown>) =>
      work.then(
        () => "accepted",
        ({ code, retryAfterMs }) => [code, retryAfterMs > 0],
      );
    await core.tasks.submitBatch(ANNA, "job", [{}, {}, {}]);
    await core.tasks.submit(ANNA, "job", {}, { delayMs: 10 });
    expect(await refused(core.tasks.submit(ANNA, "job", {}))).toEqual(["queue_full", true]);
    expect(await refused(core.tasks.submitBatch(BEN, "job", [{}, {}]))).toBe("accepted");
    expect(await refused(core.tasks.submit(ADMIN, "job", {}))).toEqual(["queue_full", true]);
    const [first, second, third] = await core.claim(3);
    await core.settle(failed(first as never, 5));
    expect(core.quotas.total).toBe(6);
    await core.settle(done(second as never));
    await core.settle(failed(third as never, null));
    expect(core.quotas.total).toBe(4);
    expect(await refused(core.tasks.submit(ADMIN, "job", {}))).toBe("accepted");
    manual(core).advance(100);
    await core.scheduler.tick();
    expect(core.quotas.total).toBe(5);
    await using after = await openCore({ file: core.snapshot(), random: core.random, quotas: { total: 6, perOwner: 4 } });
    expect(after.quotas.total).toBe(5);
  });

  test("agree with the rows after any history", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ what: fc.nat(5), who: fc.constantFrom(ANNA, BEN), pick: fc.nat(20) }), {
          maxLength: 25,
          size: "max",
        }),
        async (history) => {
          await using core = await openCore({ quotas: { total: 12, perOwner: 7 } });
          const ids: string[] = [];
          for (const { what, who, pick } of history) {
            const id = ids[pick % Math.max(1, ids.length)] ?? "nobody";
            const calls = [
              () => core.tasks.submit(who, "job", {}).then((task) => ids.push(task.id)),
              () => core.tasks.submitBatch(who, "other", [{}, {}, {}]).then((tasks) => ids.push(...tasks.map((task) => task.id))),
              () => core.tasks.cancel(who, id),
              () => core.tasks.retry(who, id),
              async () => Promise.all((await core.claim(2)).map((job) => core.settle(done(job)))),
              async () => Promise.all((await core.claim(2)).map((job) => core.settle(failed(job, null)))),
            ];
            await Promise.allSettled([calls[what]?.(), calls[pick % 4]?.()]);
          }
          expect(core.quotas.total).toBe(core.store.countPending());
          for (const who of [ANNA, BEN]) {
            const own = core.store.countPending(who.n);
            expect(own).toBeLessThanOrEqual(7);
            expect(() => core.quotas.check(who.n, Math.min(7 - own, 12 - core.quotas.total) + 1)).toThrow();
            core.quotas.check(who.n, Math.min(7 - own, 12 - core.quotas.total));
          }
        },
      ),
      { numRuns: 12, timeout: 5_000 },
    );
  });
});
