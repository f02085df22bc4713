import { expect, setDefaultTimeout, test } from "bun:test";
import { statusOf } from "../../src/domain/workflow.ts";
import type { Job } from "../../src/ports/broker.ts";
import { ANNA, type Core, done, openCore, policy } from "../support/core.ts";

setDefaultTimeout(30_000);

const open = (file?: string, from?: Core) =>
  openCore({
    policies: [{ ...policy("job"), input: {} }],
    ...(file && from ? { file, clock: from.clock, random: from.random } : {}),
  });
const group = (count: number) => ({ group: new Array(count).fill({ task: "job" }) });
const told = (core: Core) =>
  core.notices.workflows.map(({ seq, counts }) => ({ seq, done: counts.done, status: statusOf(counts) }));
const untold = (core: Core) => core.db.query<{ n: number }, []>("SELECT count(*) AS n FROM workflows WHERE untold = 1").get()?.n;

/** Ends so many tasks, each in a commit of its own. */
async function endSome(core: Core, count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) {
    const [job] = (await core.claim(1)) as [Job];
    await core.settle(done(job));
  }
}

/** Ends tasks until one has ended too soon after the last word. @returns how many have ended */
async function endUntilUntold(core: Core): Promise<number> {
  let ended = 0;
  for (; untold(core) === 0; ended += 1) await endSome(core, 1);
  return ended;
}

test("the first word and the last come at once, those in between together, under a seq of their own moment", async () => {
  await using core = await open();
  const { id } = await core.workflows.submit(ANNA, group(20));
  expect(told(core)).toMatchObject([{ done: 0, status: "in progress" }]);
  await endSome(core, 10);
  await core.notices.until(() => told(core).some((each) => each.done === 10));
  const between = told(core).slice(1);
  // One for each of 20 transitions at most: how many depends on the time that they took.
  expect(between.length).toBeLessThanOrEqual(20);
  expect(between.at(-1)?.seq).toBe(core.store.currentSeq());
  expect(core.workflowStore.get(id)?.seq).toBe(core.store.currentSeq());
  await endSome(core, 10);
  expect(told(core).at(-1)).toEqual({ seq: core.store.currentSeq(), done: 20, status: "done" });
  expect(untold(core)).toBe(0);
  const seqs = told(core).map(({ seq }) => seq);
  expect(seqs).toEqual([...new Set(seqs)].sort((a, b) => a - b));
});

test("a start and an end in one commit are one word", async () => {
  await using core = await open();
  await core.workflows.submit(ANNA, group(1));
  const jobs = await core.hub.claim({ worker: "w", max: 1, alone: false, tasks: ["job"] });
  await core.hub.settle(
    "w",
    jobs.map((job) => done(job)),
  );
  await core.recorder.drained();
  expect(told(core)).toMatchObject([
    { done: 0, status: "in progress" },
    { done: 1, status: "done" },
  ]);
});

test("what a process leaves untold, the next one tells, under a new seq", async () => {
  await using core = await open();
  await core.workflows.submit(ANNA, group(100));
  const ended = await endUntilUntold(core);
  const crash = core.snapshot();
  const last = core.store.currentSeq();
  await using again = await open(crash, core);
  expect(told(again)).toMatchObject([{ done: ended, status: "in progress" }]);
  expect(told(again)[0]?.seq).toBeGreaterThan(last);
  expect(untold(again)).toBe(0);
});

test("what could not be stored is told once it can be", async () => {
  await using core = await open();
  await core.workflows.submit(ANNA, group(100));
  const ended = await endUntilUntold(core);
  core.db.run("CREATE TRIGGER refuse BEFORE UPDATE ON workflows BEGIN SELECT RAISE(ABORT, 'refused'); END");
  while (!core.lines.some(({ message }) => message.includes("workflow"))) await Bun.sleep(5);
  core.db.run("DROP TRIGGER refuse");
  await core.notices.until(() => told(core).at(-1)?.done === ended);
  expect(untold(core)).toBe(0);
});
