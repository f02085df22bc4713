import { Database } from "bun:sqlite";
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import type { Status } from "../../src/domain/task.ts";
import { progressOf, statusOf } from "../../src/domain/workflow.ts";
import { migrateDown } from "../../src/drivers/sqlite/migrate.ts";
import { migrations } from "../../src/drivers/sqlite/migrations.ts";
import type { Job } from "../../src/ports/broker.ts";
import type { StoredTask } from "../../src/ports/tasks.ts";
import { DefinitionRegistry } from "../../src/services/definitions.ts";
import { ADMIN, ANNA, BEN, type Core, type CoreOptions, done, failed, manual, openCore, policy } from "../support/core.ts";
import { outcomeOf, stepsOf, trees } from "../support/workflows.ts";

setDefaultTimeout(30_000);

const ANY = { ...policy("job"), input: {} };
const open = (options: CoreOptions = {}) =>
  openCore({ policies: [ANY, policy("strict"), { ...policy("single"), input: {}, unique: true }], ...options });

const job = (name: string, got?: string) => ({
  task: "job",
  input: { name, ...(got === undefined ? {} : { got: { $result: got } }) },
});

interface Args {
  readonly name: string;
  readonly got?: unknown;
}
const argsOf = (core: Core, id: string): Args => JSON.parse(core.store.withBody(id)?.args ?? "null") as Args;
const byName = (core: Core, id: string): Map<string, StoredTask> =>
  new Map(core.workflows.show(ADMIN, id).members.map((task) => [argsOf(core, task.id).name, task]));
const statuses = (core: Core, id: string): Record<string, Status> =>
  Object.fromEntries([...byName(core, id)].map(([name, { status }]) => [name, status]));
const stateOf = (core: Core, id: string): string => statusOf(core.workflows.show(ADMIN, id).workflow.counts);

/** Runs what there is to run, in any order; steps of `failing` fail, the others give back their args. */
async function runAll(core: Core, failing: ReadonlySet<string> = new Set(), pick = () => 0): Promise<void> {
  const claimed: Job[] = [];
  for (;;) {
    claimed.push(...(await core.claim(3)));
    const [next] = claimed.splice(pick() % Math.max(1, claimed.length), 1);
    if (!next) return;
    const { name } = JSON.parse(next.args) as Args;
    await core.settle(failing.has(name) ? failed(next, null) : done(next, next.args));
  }
}

/** Ends one step that queues. */
async function end(core: Core, name: string, how: "done" | "failed" = "done"): Promise<void> {
  const jobs = await core.claim(1_000);
  for (const each of jobs) {
    const args = JSON.parse(each.args) as Args;
    if (args.name === name) await core.settle(how === "done" ? done(each, each.args) : failed(each, null));
    else await core.settle({ kind: "released", id: each.id, fence: each.fence, at: 1 });
  }
}

describe("whatever its form, in whatever order its tasks end", () => {
  test("they end as the rules say, each gets what stood before it, and the whole comes to its value", async () => {
    await using core = await open();
    await fc.assert(
      fc.asyncProperty(trees, fc.infiniteStream(fc.nat(9)), fc.infiniteStream(fc.nat(9)), async (tree, luck, order) => {
        const names = stepsOf(tree).map(({ input }) => input.name);
        const failing = new Set(names.filter(() => luck.next().value === 0));
        const { id, taskIds } = await core.workflows.submit(ANNA, structuredClone(tree));
        expect(taskIds.map((each) => argsOf(core, each).name)).toEqual(names);
        await runAll(core, failing, () => order.next().value ?? 0);
        const expected = outcomeOf(tree, failing);
        expect(statuses(core, id)).toEqual(Object.fromEntries(expected.statuses));
        const { workflow, result } = core.workflows.show(ANNA, id);
        const isDone = failing.size === 0;
        expect([statusOf(workflow.counts), JSON.parse(result ?? "null")]).toEqual([
          isDone ? "done" : "failed",
          isDone ? expected.value : null,
        ]);
        if (isDone) expect(progressOf(workflow)).toBe(1);
        const last = core.notices.workflows.findLast((notice) => notice.id === id);
        expect(last).toEqual(workflow);

        // Once more, and all goes well.
        if (isDone) return;
        await core.workflows.retry(ANNA, id);
        await runAll(core);
        expect(stateOf(core, id)).toBe("done");
        expect(JSON.parse(core.workflows.show(ANNA, id).result ?? "null")).toEqual(outcomeOf(tree, new Set()).value);
      }),
      { numRuns: 60 },
    );
    expect(core.quotas.total).toBe(0);
    const seqs = [...core.notices.all.map(({ task }) => task.seq), ...core.notices.workflows.map(({ seq }) => seq)];
    expect(new Set(seqs).size).toBe(seqs.length);
  });

  test("500 after 500 after 500: each outcome costs the same", async () => {
    await using core = await open({ quotas: { total: 1_000, perOwner: 1_000 } });
    const many = (got?: string) => ({ group: Array.from({ length: 333 }, (_, i) => job(`x${i}`, got)) });
    const { id } = await core.workflows.submit(ANNA, { chain: [many(), many("/7"), many("/7/name")] });
    for (let jobs = await core.claim(400); jobs.length > 0; jobs = await core.claim(400)) {
      await core.hub.settle(
        "w",
        jobs.map((each) => done(each, each.args)),
      );
      await core.recorder.drained();
    }
    expect(stateOf(core, id)).toBe("done");
    expect(core.db.query("SELECT count(*) AS n FROM workflow_joints").get()).toEqual({ n: 3 });
    const result = JSON.parse(core.workflows.show(ANNA, id).result ?? "null") as Args[];
    expect([result.length, result[5]]).toEqual([333, { name: "x5", got: "x7" }]);
  });
});

describe("a member that waits", () => {
  test("is scheduled for no time, and queues with the results put in", async () => {
    await using core = await open();
    const { taskIds } = await core.workflows.submit(ANNA, {
      chord: [job("a"), job("b")],
      then: { task: "job", input: { name: "c", first: { $result: "/0/name" }, all: [{ $result: "" }] }, priority: "high" },
    });
    const last = taskIds[2] ?? "";
    expect(core.store.get(last)).toMatchObject({ status: "scheduled", dispatched: false, priority: "high" });
    manual(core).advance(400 * 86_400_000);
    expect(await core.scheduler.tick()).toBe(0);
    await end(core, "a");
    expect(core.store.get(last)?.status).toBe("scheduled");
    await end(core, "b");
    expect(core.store.get(last)).toMatchObject({ status: "queued", dispatched: true, runAt: core.clock.now() });
    expect(argsOf(core, last)).toEqual({ name: "c", first: "a", all: [[{ name: "a" }, { name: "b" }]] } as never);
  });

  test.each<[string, unknown, { code: string; message: string }]>([
    ["a place that is not there", { x: { $result: "/none" } }, { code: "invalid_input", message: "/x $result" }],
    ["another type", { x: { $result: "/name" } }, { code: "invalid_input", message: "/x must be integer" }],
    ["a field too many", { y: { $result: "" } }, { code: "invalid_input", message: "/y unknown field" }],
  ])("with %s fails when it is let go, and says where", async (_, input, error) => {
    await using core = await open();
    const { id, taskIds } = await core.workflows.submit(ANNA, { chain: [job("a"), { task: "strict", input }, job("b")] });
    await end(core, "a");
    const task = core.store.get(taskIds[1] ?? "");
    expect(task).toMatchObject({ status: "failed", error: { code: error.code } });
    expect(task?.error?.message).toContain(error.message);
    expect(core.store.get(taskIds[2] ?? "")?.status).toBe("cancelled");
    expect(stateOf(core, id)).toBe("failed");
    // Its args are still the references: a retry tries again, and fails again.
    await core.tasks.retry(ANNA, taskIds[1] ?? "");
    expect(core.store.get(taskIds[1] ?? "")?.error?.code).toBe("invalid_input");
  });

  test("can be retried as soon as a server answers, also by one that has checked nothing yet", async () => {
    await using core = await open();
    const strict = { task: "strict", input: { x: { $result: "/name" } } };
    const { id, taskIds } = await core.workflows.submit(ANNA, { chain: [job("a"), strict] });
    await end(core, "a");
    for (const retry of [
      (again: Core) => again.tasks.retry(ANNA, taskIds[1] ?? ""),
      (again: Core) => again.workflows.retry(ANNA, id),
    ]) {
      await using again = await open({ file: core.snapshot(), clock: core.clock, random: core.random, idle: true });
      await retry(again);
      expect(again.store.get(taskIds[1] ?? "")?.error?.code).toBe("invalid_input");
    }
  });

  test("gets no more than 8 MiB, and what is as large is left out of the workflow", async () => {
    await using core = await open();
    const half = JSON.stringify("x".repeat(5 * 1024 * 1024));
    const { id, taskIds } = await core.workflows.submit(ANNA, {
      chain: [{ group: [job("a"), job("b")] }, { group: [job("c", ""), job("d", "/0")] }],
    });
    for (const each of await core.claim(2)) await core.settle(done(each, half));
    const [, , c = "", d = ""] = taskIds;
    expect(core.store.get(c)).toMatchObject({ status: "failed", error: { code: "input_too_large" } });
    expect(core.store.get(d)?.status).toBe("queued");
    const both = await core.workflows.submit(ANNA, { group: [job("a"), job("b")] });
    for (const each of await core.claim(3)) await core.settle(done(each, half));
    expect(core.workflows.show(ANNA, both.id)).toMatchObject({ result: null, truncated: true });
    expect(stateOf(core, id)).toBe("failed");
  });

  test("whose task is gone by then waits for its file like any other, and fails where results were to be put in", async () => {
    const withDefault = { ...policy("filled"), input: { type: "object", properties: { n: { default: 7 }, x: {} } } };
    await using core = await open({ policies: [ANY, policy("strict"), withDefault] });
    const ref = { $result: "/name" };
    const { taskIds } = await core.workflows.submit(ANNA, {
      chain: [
        job("a"),
        { group: [{ task: "strict" }, { task: "strict", input: { text: ref } }, { task: "filled", input: { x: ref } }] },
      ],
    });
    core.definitions.replace([ANY, withDefault]);
    await end(core, "a");
    const [, complete = "", referring = "", filled = ""] = taskIds;
    expect(core.store.get(complete)?.status).toBe("queued");
    expect(core.store.get(referring)).toMatchObject({ status: "failed", error: { code: "unknown_task" } });
    expect(argsOf(core, filled)).toEqual({ n: 7, x: "a" } as never);
  });
});

describe("a member with a delay", () => {
  const later = { ...job("b", "/name"), delay: "30s" };

  test("waits for so long after what it follows is done, with the results put in, whatever happens meanwhile", async () => {
    await using core = await open();
    const { id, taskIds } = await core.workflows.submit(ANNA, { chain: [job("a"), later, job("c")] });
    const b = taskIds[1] ?? "";
    manual(core).advance(60_000);
    expect(await core.scheduler.tick()).toBe(0);
    await end(core, "a");
    expect(core.store.get(b)).toMatchObject({ status: "scheduled", runAt: core.clock.now() + 30_000 });
    expect(argsOf(core, b)).toEqual({ name: "b", got: "a" });
    await using again = await open({ file: core.snapshot(), clock: core.clock, random: core.random });
    manual(core).advance(29_999);
    expect(await again.scheduler.tick()).toBe(0);
    manual(core).advance(1);
    expect(await again.scheduler.tick()).toBe(1);
    await runAll(again);
    expect(stateOf(again, id)).toBe("done");
  });

  test("waits again when it is revived; where it is retried itself, it queues at once", async () => {
    await using core = await open();
    const { id, taskIds } = await core.workflows.submit(ANNA, { chain: [job("a"), later] });
    const [a = "", b = ""] = taskIds;
    await end(core, "a", "failed");
    await core.tasks.retry(ANNA, a);
    await end(core, "a");
    expect(core.store.get(b)).toMatchObject({ status: "scheduled", runAt: core.clock.now() + 30_000 });
    await core.tasks.cancel(ANNA, b);
    expect(stateOf(core, id)).toBe("cancelled");
    await core.tasks.retry(ANNA, b);
    expect(core.store.get(b)).toMatchObject({ status: "queued", runAt: core.clock.now() });
  });

  test("the whole's delay comes before that of what waits for nothing; its priority is of steps that say none", async () => {
    await using core = await open();
    const described = {
      chain: [{ group: [job("a"), { ...job("b"), delay: "1s", priority: "low" }] }, { ...job("c"), delay: "30s" }],
    };
    const { id } = await core.workflows.submit(ANNA, described, { delayMs: 2_000, priority: "high" });
    const now = core.clock.now();
    const tasks = byName(core, id);
    expect(tasks.get("a")).toMatchObject({ status: "scheduled", runAt: now + 2_000, priority: "high" });
    expect(tasks.get("b")).toMatchObject({ status: "scheduled", runAt: now + 3_000, priority: "low" });
    expect(core.workflows.show(ANNA, id).workflow.counts).toMatchObject({ queued: 0, scheduled: 3 });
    manual(core).advance(3_000);
    expect(await core.scheduler.tick()).toBe(2);
    await runAll(core);
    expect(byName(core, id).get("b")?.status).toBe("done");
    expect(core.store.nextDueAt()).toBe(core.clock.now() + 30_000);
  });
});

describe("when a task fails", () => {
  const tree = { chain: [{ group: [job("a"), job("b"), { chain: [job("c"), job("d")] }] }, job("e"), job("f")] };

  test("what is beside it goes on, what waits for it is cancelled and told by which", async () => {
    await using core = await open();
    const { id, taskIds } = await core.workflows.submit(ANNA, tree);
    await end(core, "a", "failed");
    expect(statuses(core, id)).toEqual({ a: "failed", b: "queued", c: "queued", d: "scheduled", e: "cancelled", f: "cancelled" });
    for (const name of ["e", "f"])
      expect(byName(core, id).get(name)?.error).toEqual({
        code: "cancelled",
        message: `the task ${taskIds[0]} (job) before it failed`,
      });
    expect(stateOf(core, id)).toBe("in progress");
    await runAll(core);
    expect(statuses(core, id)).toMatchObject({ b: "done", c: "done", d: "done" });
    expect(stateOf(core, id)).toBe("failed");
  });

  test("its retry runs with what was put in before, also where that looks like a reference", async () => {
    await using core = await open();
    const { taskIds } = await core.workflows.submit(ANNA, { chain: [job("a"), job("b", "/data")] });
    const [first] = (await core.claim(1)) as [Job];
    await core.settle(done(first, '{"data":{"$result":"/none"}}'));
    await end(core, "b", "failed");
    await core.tasks.retry(ANNA, taskIds[1] ?? "");
    expect(core.store.get(taskIds[1] ?? "")?.status).toBe("queued");
    expect(argsOf(core, taskIds[1] ?? "")).toEqual({ name: "b", got: { $result: "/none" } });
  });

  test("its retry revives what was cancelled because of it alone", async () => {
    await using core = await open();
    const { id, taskIds } = await core.workflows.submit(ANNA, tree);
    const [a = "", b = "", , , e = ""] = taskIds;
    await end(core, "a", "failed");
    await core.tasks.cancel(ANNA, b);
    await expect(core.tasks.retry(ANNA, e)).rejects.toMatchObject({ code: "waits_for_failed" });
    await core.tasks.retry(ANNA, a);
    expect(statuses(core, id)).toMatchObject({ a: "queued", b: "cancelled", e: "cancelled", f: "cancelled" });
    await core.tasks.retry(ANNA, b);
    expect(statuses(core, id)).toMatchObject({ a: "queued", b: "queued", e: "scheduled", f: "scheduled" });
    await expect(core.tasks.retry(ANNA, e)).rejects.toMatchObject({ code: "task_not_ended" });
    await runAll(core);
    expect(stateOf(core, id)).toBe("done");
  });

  test("what its owner has cancelled stays so, until that is retried: it waits again", async () => {
    await using core = await open();
    const { id, taskIds } = await core.workflows.submit(ANNA, { chain: [job("a"), job("b"), job("c")] });
    const [a = "", b = ""] = taskIds;
    await core.tasks.cancel(ANNA, b);
    expect(byName(core, id).get("c")?.error?.message).toBe(`the task ${b} (job) before it was cancelled`);
    await core.tasks.retry(ANNA, b);
    expect(statuses(core, id)).toEqual({ a: "queued", b: "scheduled", c: "scheduled" });
    await core.tasks.cancel(ANNA, b);
    await end(core, "a", "failed");
    await core.tasks.retry(ANNA, a);
    expect(statuses(core, id)).toEqual({ a: "queued", b: "cancelled", c: "cancelled" });
    await end(core, "a");
    expect(stateOf(core, id)).toBe("cancelled");
    await core.tasks.retry(ANNA, b);
    expect(statuses(core, id)).toEqual({ a: "done", b: "queued", c: "scheduled" });
    await runAll(core);
    expect(stateOf(core, id)).toBe("done");
  });
});

describe("the whole", () => {
  test("cancel: what waits at once, what runs is asked to stop", async () => {
    await using core = await open();
    const { id } = await core.workflows.submit(ANNA, { chain: [{ group: [job("a"), job("b")] }, job("c")] });
    const [running] = (await core.claim(1)) as [Job];
    await core.workflows.cancel(ANNA, id);
    expect(statuses(core, id)).toEqual({ a: "in progress", b: "cancelled", c: "cancelled" });
    expect(byName(core, id).get("a")?.cancelRequested).toBe(true);
    expect(byName(core, id).get("c")?.error?.message).toBe("cancelled on request");
    await core.settle({ kind: "cancelled", id: running.id, fence: running.fence, at: 1 });
    expect(stateOf(core, id)).toBe("cancelled");
    await expect(core.workflows.cancel(ANNA, id)).rejects.toMatchObject({ code: "workflow_ended" });
    await core.workflows.retry(ANNA, id);
    expect(statuses(core, id)).toEqual({ a: "queued", b: "queued", c: "scheduled" });
    await expect(core.workflows.retry(ANNA, id)).rejects.toMatchObject({ code: "workflow_not_ended" });
  });

  test("quotas: all of it or nothing", async () => {
    await using core = await open({ quotas: { total: 10, perOwner: 3 } });
    const four = { group: ["a", "b", "c", "d"].map((name) => job(name)) };
    await expect(core.workflows.submit(ANNA, four)).rejects.toMatchObject({ code: "queue_full" });
    const rows = core.db.query("SELECT (SELECT count(*) FROM tasks) + (SELECT count(*) FROM workflows) AS n");
    expect(rows.get()).toEqual({ n: 0 });
    await core.workflows.submit(ANNA, { group: [job("a"), job("b")] });
    await expect(core.workflows.submit(ANNA, { group: [job("a"), job("b")] })).rejects.toMatchObject({ code: "queue_full" });
    expect(core.quotas.total).toBe(2);
  });

  test("quotas hold for what the retry of one task revives, too", async () => {
    await using core = await open({ quotas: { total: 10, perOwner: 3 } });
    const { id, taskIds } = await core.workflows.submit(ANNA, { chain: [job("a"), job("b"), job("c")] });
    await end(core, "a", "failed");
    await core.tasks.submit(ANNA, "job", { name: "x" });
    const before = core.notices.all.length;
    await expect(core.tasks.retry(ANNA, taskIds[0] ?? "")).rejects.toMatchObject({ code: "queue_full" });
    expect(statuses(core, id)).toEqual({ a: "failed", b: "cancelled", c: "cancelled" });
    expect([core.quotas.total, core.notices.all.length]).toEqual([1, before]);
    await end(core, "x");
    await core.tasks.retry(ANNA, taskIds[0] ?? "");
    expect(core.quotas.total).toBe(3);
  });

  test("an Idempotency-Key stands for one workflow", async () => {
    await using core = await open();
    const first = await core.workflows.submit(ANNA, { chain: [job("a"), job("b", "")] }, { idempotencyKey: "key" });
    const again = { chain: [{ input: { name: "a" }, task: "job" }, job("b", "")] };
    expect(await core.workflows.submit(ANNA, again, { idempotencyKey: "key" })).toEqual(first);
    await expect(core.workflows.submit(ANNA, { chain: [job("a")] }, { idempotencyKey: "key" })).rejects.toMatchObject({
      code: "idempotency_conflict",
    });
    expect((await core.workflows.submit(BEN, again, { idempotencyKey: "key" })).id).not.toBe(first.id);
  });

  test("is nobody else's but an admin's", async () => {
    await using core = await open();
    const { id } = await core.workflows.submit(ANNA, { chain: [job("a")] });
    for (const call of [() => core.workflows.show(BEN, id), () => core.workflows.show(ANNA, ADMIN.id)]) expect(call).toThrow();
    await expect(core.workflows.cancel(BEN, id)).rejects.toMatchObject({ code: "workflow_not_found" });
    await expect(core.workflows.retry(BEN, id)).rejects.toMatchObject({ code: "workflow_not_found" });
    expect(core.workflows.show(ADMIN, id).workflow.ownerId).toBe("anna");
  });

  test("steps whose schemas are code are checked together", async () => {
    const asked = Promise.withResolvers<void>();
    const seen: unknown[] = [];
    const check = async (_: unknown, input: unknown) => {
      if (seen.push(input) === 2) asked.resolve();
      await asked.promise;
      return [];
    };
    const definitions = new DefinitionRegistry([{ ...ANY, checkedBy: "code" }], { check });
    await using core = await open({ definitions });
    const { taskIds } = await core.workflows.submit(ANNA, { chain: [job("a"), { group: [job("b"), job("c", "")] }] });
    expect([taskIds.length, seen]).toEqual([3, [{ name: "a" }, { name: "b" }]]);
  });

  test("steps that do not fit are all named, and nothing is stored", async () => {
    await using core = await open();
    const bad = { chain: [{ task: "none" }, { group: [{ task: "strict", input: { x: "1" } }, job("a")] }] };
    await expect(core.workflows.submit(ANNA, bad)).rejects.toMatchObject({
      code: "invalid_input",
      problems: [
        { path: "/chain/0/task", message: 'there is no task "none"' },
        { path: "/chain/1/group/0/input/x", message: "must be integer" },
      ],
    });
    expect(core.db.query("SELECT count(*) AS n FROM tasks").get()).toEqual({ n: 0 });
  });
});

describe("unique members", () => {
  const single = (n: unknown) => ({ task: "single", input: { n } });

  test("an equal one that is pending refuses the whole, inside or outside of it", async () => {
    await using core = await open();
    await expect(core.workflows.submit(ANNA, { group: [single(1), single(1)] })).rejects.toMatchObject({ code: "not_unique" });
    const { taskIds } = await core.workflows.submit(ANNA, { chain: [job("a"), single(1)] });
    await expect(core.workflows.submit(ANNA, { group: [single(1)] })).rejects.toMatchObject({ code: "not_unique" });
    // Elsewhere the next one is that one, as ever.
    expect((await core.tasks.submit(ANNA, "single", { n: 1 })).id).toBe(taskIds[1] ?? "");
  });

  test("one that turns out equal when it is let go fails", async () => {
    await using core = await open();
    await core.tasks.submit(ANNA, "single", { n: "a" });
    const { taskIds } = await core.workflows.submit(ANNA, { chain: [job("a"), single({ $result: "/name" })] });
    await end(core, "a");
    expect(core.store.get(taskIds[1] ?? "")).toMatchObject({ status: "failed", error: { code: "not_unique" } });
  });
});

describe("unique members of a workflow that is retried", () => {
  const twice = {
    group: ["a", "b"].map((name) => ({ chain: [job(name), { task: "single", input: { n: { $result: "/n" } } }] })),
  };
  const same = '{"n":1}';

  /** Its two unique ones have run one after the other with the same input, and failed. */
  async function failedTwice(core: Core): Promise<{ id: string; singles: string[] }> {
    const { id, taskIds } = await core.workflows.submit(ANNA, twice);
    const jobs = await core.claim(2);
    for (const each of jobs) {
      await core.settle(done(each, same));
      const [single] = (await core.claim(1)) as [Job];
      await core.settle(failed(single, null));
    }
    return { id, singles: [taskIds[1] ?? "", taskIds[3] ?? ""] };
  }

  test("which have become equal do not run beside each other: one after the other they may", async () => {
    await using core = await open();
    const { id, singles } = await failedTwice(core);
    await expect(core.workflows.retry(ANNA, id)).rejects.toMatchObject({ code: "not_unique" });
    expect(stateOf(core, id)).toBe("failed");
    for (const single of singles) {
      await core.tasks.retry(ANNA, single);
      const [again] = (await core.claim(1)) as [Job];
      await core.settle(done(again));
    }
    expect(stateOf(core, id)).toBe("done");
  });

  test("whose results had never been put in: the second one fails", async () => {
    await using core = await open();
    const { id, taskIds } = await core.workflows.submit(ANNA, twice);
    const [, first = "", , second = ""] = taskIds;
    const other = await core.tasks.submit(ANNA, "single", { n: 1 }, { delayMs: 1_000 });
    for (const each of await core.claim(2)) await core.settle(done(each, same));
    await core.tasks.cancel(ANNA, other.id);
    expect([first, second].map((each) => core.store.get(each)?.error?.code)).toEqual(["not_unique", "not_unique"]);
    await core.workflows.retry(ANNA, id);
    expect([first, second].map((each) => core.store.get(each)?.status)).toEqual(["queued", "failed"]);
  });
});

describe("what is stored together", () => {
  test("after a crash at any moment it goes on", async () => {
    await using core = await open();
    const tree = { chain: [{ group: [job("a"), job("b")] }, { group: [job("c", ""), job("d", "/1")] }, job("e", "")] };
    const { id } = await core.workflows.submit(ANNA, tree);
    const crashes = [core.snapshot()];
    for (const name of ["a", "b", "c", "d"]) {
      await end(core, name);
      crashes.push(core.snapshot());
    }
    for (const file of crashes) {
      await using again = await open({ file, clock: core.clock, random: core.random });
      await runAll(again);
      expect(stateOf(again, id)).toBe("done");
      const ab = [{ name: "a" }, { name: "b" }];
      expect(JSON.parse(again.workflows.show(ANNA, id).result ?? "null")).toEqual({
        name: "e",
        got: [
          { name: "c", got: ab },
          { name: "d", got: { name: "b" } },
        ],
      });
    }
  });

  test("on the way back to a version without workflows, what waits for others is cancelled: nobody would let it go", async () => {
    await using core = await open();
    const { taskIds } = await core.workflows.submit(ANNA, { chain: [job("a"), { ...job("b"), delay: "1h" }] });
    await core.tasks.submit(ANNA, "job", { name: "x" }, { delayMs: 1_000 });
    using db = new Database(core.snapshot());
    migrateDown(db, migrations.length - migrations.findIndex(({ tag }) => tag === "0004_workflows"));
    const rows = db.query("SELECT status, error_code, finished_at IS NULL AS open FROM tasks ORDER BY n").all();
    expect([taskIds.length, rows]).toEqual([
      2,
      [
        { status: 1, error_code: null, open: 1 },
        { status: 6, error_code: "cancelled", open: 0 },
        { status: 0, error_code: null, open: 1 },
      ],
    ]);
  });

  test("an outcome whose commit fails has moved nothing", async () => {
    await using core = await open();
    const { id } = await core.workflows.submit(ANNA, { chain: [job("a"), job("b", "")] });
    const [first] = (await core.claim(1)) as [Job];
    core.db.run("CREATE TRIGGER refuse BEFORE UPDATE ON workflows BEGIN SELECT RAISE(ABORT, 'refused'); END");
    await core.settle(done(first, first.args));
    expect(statuses(core, id)).toEqual({ a: "in progress", b: "scheduled" });
    core.db.run("DROP TRIGGER refuse");
    await core.recorder.drained();
    expect(statuses(core, id)).toEqual({ a: "done", b: "queued" });
  });
});

describe("retention", () => {
  test("keeps the members of a workflow that goes on, and takes an ended one at once with all of them", async () => {
    await using core = await open();
    const ended = await core.workflows.submit(ANNA, { chain: [job("x"), job("y")] });
    await runAll(core);
    const { id } = await core.workflows.submit(ANNA, { chain: [job("a"), job("b", "")] });
    await end(core, "a");
    manual(core).advance(1_000);
    // However few a step may take: of what is left of a workflow nothing could be shown, and its retry would wait for ever.
    expect(core.store.purge(core.clock.now(), 0, 1)).toMatchObject({ removed: 2 });
    expect(() => core.workflows.show(ANNA, ended.id)).toThrow();
    expect(core.store.purge(core.clock.now(), 0, 10)).toMatchObject({ removed: 0 });
    expect(core.store.purgedSeq()).toBeGreaterThan(0);
    await runAll(core);
    expect(JSON.parse(core.workflows.show(ANNA, id).result ?? "null")).toEqual({ name: "b", got: { name: "a" } });
    manual(core).advance(1_000);
    core.store.purge(core.clock.now(), 0, 10);
    for (const table of ["workflows", "workflow_joints", "workflow_tasks", "tasks"])
      expect(core.db.query(`SELECT count(*) AS n FROM ${table}`).get()).toEqual({ n: 0 });
  });
});

describe("pages", () => {
  test("newest first, each once, own or all", async () => {
    await using core = await open();
    const ids: string[] = [];
    for (let i = 0; i < 5; i += 1) ids.unshift((await core.workflows.submit(ANNA, { chain: [job("a")] })).id);
    await core.workflows.submit(BEN, { chain: [job("a")] });
    const seen: string[] = [];
    for (let before: number | undefined; ; ) {
      const page = core.workflows.list(ANNA, { limit: 2, owner: "all", ...(before === undefined ? {} : { before }) });
      seen.push(...page.items.map((each) => each.id));
      if (page.next === null) break;
      before = page.next;
    }
    expect(seen).toEqual(ids);
    expect(core.workflows.list(ADMIN, { limit: 9, owner: "all" }).items).toHaveLength(6);
    expect(core.workflows.list(ADMIN, { limit: 9, owner: BEN.n }).items).toHaveLength(1);
  });
});
