import { describe, expect, test } from "bun:test";
import type { Job } from "../../src/ports/broker.ts";
import { expectWithin } from "../support/bounds.ts";
import { ANNA, type Core, done, openCore, policy } from "../support/core.ts";
import { SqlMeter } from "../support/sql-meter.ts";

/*
 * What 1,000 tasks cost in statements and transactions. The numbers are what was counted, the same in every run: a change that
 * adds one statement to a task, or one transaction to a batch, fails here on any machine.
 */

const TASKS = 1_000;
/** As many as a thread's slots take at a time. */
const CLAIMED = 125;
const CLAIMS = TASKS / CLAIMED;
/** Rows of one kind are written up to 64 in a statement: so many statements for all at once, and for as many as are claimed. */
const WRITES = 19;
const CLAIM_WRITES = 8;
const inputs = Array.from({ length: TASKS }, (_, x) => ({ x }));

/** Once, however many tasks there are: a block of seqs is taken, what an owner has pending is counted, the owner's id is read. */
const RARE = { "INSERT meta": 1, "SELECT tasks": 4, "SELECT accounts": 1 };

/** A core whose first task of each name, with its lane, is behind it. */
async function warm(idle: boolean): Promise<Core> {
  const core = await openCore({ idle });
  for (const name of ["job", "other"]) await core.tasks.submit(ANNA, name, { x: 0 }, {});
  await core.recorder.drained();
  await runAll(core);
  return core;
}

async function claim(core: Core, max = CLAIMED): Promise<readonly Job[]> {
  return await core.hub.claim({ worker: "w", max, alone: false, tasks: ["job", "other"] });
}

/** Claims, settles and records until nothing is left. */
async function runAll(core: Core): Promise<void> {
  for (let jobs = await claim(core); jobs.length > 0; jobs = await claim(core)) {
    await core.hub.settle(
      "w",
      jobs.map((job) => done(job)),
    );
    await core.recorder.drained();
  }
}

describe("statements for 1,000 tasks", () => {
  test("submitted one after the other: a transaction and a row each", async () => {
    using meter = new SqlMeter();
    await using core = await warm(true);
    meter.reset();
    for (const input of inputs) await core.tasks.submit(ANNA, "job", input, {});
    expectWithin(meter.kinds, { BEGIN: TASKS, COMMIT: TASKS, "INSERT tasks": TASKS, ...RARE });
  });

  test("submitted in one turn: one transaction", async () => {
    using meter = new SqlMeter();
    await using core = await warm(true);
    meter.reset();
    await Promise.all(inputs.map((input) => core.tasks.submit(ANNA, "job", input, {})));
    expectWithin(meter.kinds, { BEGIN: 1, COMMIT: 1, "INSERT tasks": WRITES, ...RARE });
    expectWithin(meter.rows, { "INSERT tasks": TASKS, "INSERT meta": 1 });
  });

  test("submitted as a batch: one transaction", async () => {
    using meter = new SqlMeter();
    await using core = await warm(true);
    meter.reset();
    await core.tasks.submitBatch(ANNA, "job", inputs, {});
    expectWithin(meter.kinds, { BEGIN: 1, COMMIT: 1, "INSERT tasks": WRITES, ...RARE });
    expectWithin(meter.rows, { "INSERT tasks": TASKS, "INSERT meta": 1 });
  });

  test("with a key each: one look more", async () => {
    using meter = new SqlMeter();
    await using core = await warm(true);
    meter.reset();
    await Promise.all(inputs.map((input, i) => core.tasks.submit(ANNA, "job", input, { idempotencyKey: `key-${i}` })));
    expectWithin(meter.kinds, { BEGIN: 1, COMMIT: 1, "INSERT tasks": TASKS, ...RARE, "SELECT tasks": TASKS + 4 });
  });

  test("with a key each, answered with one unique task: a look for each key, a look for the task, and the answer is kept", async () => {
    using meter = new SqlMeter();
    const only = { ...policy("only"), unique: [] };
    await using core = await openCore({ idle: true, policies: [only] });
    await core.tasks.submit(ANNA, "only", { x: 0 }, {});
    meter.reset();
    await Promise.all(inputs.map((input, i) => core.tasks.submit(ANNA, "only", input, { idempotencyKey: `key-${i}` })));
    expectWithin(meter.kinds, {
      BEGIN: 1,
      COMMIT: 1,
      "SELECT tasks": TASKS,
      "SELECT unique_keys": TASKS,
      "INSERT answered_keys": TASKS,
    });
  });

  test("run, where starts are recorded apart from ends: two rows written, two transactions a claim", async () => {
    using meter = new SqlMeter();
    await using core = await warm(true);
    await core.tasks.submitBatch(ANNA, "job", inputs, {});
    meter.reset();
    for (let i = 0; i < CLAIMS; i += 1) {
      const jobs = await claim(core);
      await core.recorder.drained();
      await core.hub.settle(
        "w",
        jobs.map((job) => done(job)),
      );
      await core.recorder.drained();
    }
    const pages = 2 * CLAIMS;
    const writes = pages * CLAIM_WRITES;
    expectWithin(meter.kinds, { BEGIN: pages, COMMIT: pages, "UPDATE tasks": writes, "INSERT offsets": pages, ...RARE });
    expectWithin(meter.rows, { "UPDATE tasks": 2 * TASKS, "INSERT offsets": pages, "INSERT meta": 1 });
    expect(core.store.countPending()).toBe(0);
  });

  test("run, where a task has ended before its start is recorded: one row written", async () => {
    using meter = new SqlMeter();
    await using core = await warm(true);
    await core.tasks.submitBatch(ANNA, "job", inputs, {});
    meter.reset();
    await runAll(core);
    expectWithin(meter.kinds, {
      BEGIN: CLAIMS,
      COMMIT: CLAIMS,
      "UPDATE tasks": CLAIMS * CLAIM_WRITES,
      "INSERT offsets": CLAIMS,
      ...RARE,
    });
    expectWithin(meter.rows, { "UPDATE tasks": TASKS, "INSERT offsets": CLAIMS, "INSERT meta": 1 });
    expect(core.store.countPending()).toBe(0);
  });

  test("fed from outside of the window: one read for hundreds of rows, and one write each", async () => {
    using meter = new SqlMeter();
    await using core = await openCore({ idle: true, window: { lane: CLAIMED, total: 10_000, bytes: 2 ** 20 } });
    await core.tasks.submitBatch(ANNA, "job", inputs, {});
    meter.reset();
    while (core.quotas.total > 0) {
      await runAll(core);
      // What feeds the lane commits with this.
      await core.work.grouped(() => {});
    }
    const pages = 2 * CLAIMS;
    expectWithin(meter.kinds, {
      BEGIN: pages,
      COMMIT: pages,
      "UPDATE tasks": (pages - 1) * CLAIM_WRITES,
      "INSERT offsets": CLAIMS,
      ...RARE,
      "SELECT tasks": CLAIMS,
    });
    expectWithin(meter.rows, { "UPDATE tasks": TASKS + (TASKS - CLAIMED), "INSERT offsets": CLAIMS, "INSERT meta": 1 });
  });

  test("that report their progress ten times: no statement for a report, one row each when it is saved", async () => {
    using meter = new SqlMeter();
    await using core = await warm(false);
    await core.tasks.submitBatch(ANNA, "job", inputs, {});
    const jobs = await claim(core, TASKS);
    await core.recorder.drained();
    core.recorder.saveProgress();
    core.work.flush();
    meter.reset();
    // Within one turn, so that no timer comes in between.
    for (let report = 1; report <= 10; report += 1) {
      core.hub.report(jobs.map(({ id, fence }) => ({ id, fence, progress: report / 10, message: `step ${report}`, at: 1 })));
    }
    expectWithin(meter.kinds, {});
    core.recorder.saveProgress();
    core.work.flush();
    expectWithin(meter.kinds, { BEGIN: 1, COMMIT: 1, "UPDATE tasks": WRITES });
    expectWithin(meter.rows, { "UPDATE tasks": TASKS });
  });

  test("listed: a statement a page, one more where a filter leaves it short; a single task is one", async () => {
    using meter = new SqlMeter();
    await using core = await warm(true);
    const [task] = await core.tasks.submitBatch(ANNA, "job", inputs, {});
    // Once, the owner's id is read.
    core.tasks.list(ANNA, { limit: 1 });
    meter.reset();
    core.tasks.list(ANNA, { limit: 50 });
    expectWithin(meter.kinds, { "SELECT tasks": 1 });
    meter.reset();
    core.tasks.list(ANNA, { limit: 50, name: "job", status: "queued" });
    expectWithin(meter.kinds, { "SELECT tasks": 1 });
    meter.reset();
    core.tasks.list(ANNA, { limit: 50, name: "other" });
    expectWithin(meter.kinds, { "SELECT tasks": 2 });
    meter.reset();
    core.tasks.show(ANNA, task?.id ?? "");
    expectWithin(meter.kinds, { "SELECT tasks": 1 });
  });
});
