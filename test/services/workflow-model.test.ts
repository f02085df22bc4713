/** Whatever is done to the members of a workflow, in whatever order, its rows say what the rules say. */
import { expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { ArtelError } from "../../src/domain/errors.ts";
import { isHeld, isTerminal, STATUSES } from "../../src/domain/task.ts";
import { progressOf, statusOf } from "../../src/domain/workflow.ts";
import type { Job } from "../../src/ports/broker.ts";
import { ANNA, type Core, done, failed, openCore, policy } from "../support/core.ts";
import { outcomeOf, trees } from "../support/workflows.ts";

setDefaultTimeout(60_000);

const STEPS = ["claim", "done", "done", "done", "failed", "cancel", "retry", "cancel all", "retry all"] as const;
const steps = fc.array(fc.tuple(fc.constantFrom(...STEPS), fc.nat(99)), { maxLength: 40, size: "max" });

const pick = <T>(of: readonly T[], at: number): T | undefined => of[at % Math.max(1, of.length)];

/** What the rules allow to be refused. */
async function attempt(call: Promise<unknown>): Promise<void> {
  await call.catch((error: unknown) => {
    if (!(error instanceof ArtelError)) throw error;
    expect(["task_ended", "task_not_ended", "workflow_ended", "workflow_not_ended", "waits_for_failed"]).toContain(error.code);
  });
}

function expectSound(core: Core, id: string): void {
  const { workflow, members } = core.workflows.show(ANNA, id);
  for (const status of STATUSES) expect(workflow.counts[status]).toBe(members.filter((task) => task.status === status).length);
  const reached = members.reduce((sum, task) => sum + (isTerminal(task.status) ? (task.progress ?? 0) : 0), 0);
  expect(progressOf(workflow)).toBeCloseTo(reached / members.length, 5);
  expect(workflow.finishedAt === null).toBe(statusOf(workflow.counts) === "in progress");
  const memberships = members.map((task) => ({ task, ...core.workflowStore.membership(task) }));
  for (const { task, waitsFor, abandoned } of memberships) {
    if (waitsFor === null || waitsFor === undefined) continue;
    const before = memberships.filter(({ countsInto }) => countsInto === waitsFor).map((each) => each.task.status);
    const pending = before.filter((status) => !isTerminal(status)).length;
    const bad = before.filter((status) => status === "failed" || status === "cancelled").length;
    expect(core.workflowStore.joint(waitsFor)).toEqual({ pending, bad });
    if (isHeld(task)) expect([pending > 0, bad]).toEqual([true, 0]);
    else if (task.status === "cancelled") expect(abandoned).toBe(abandoned === true && bad > 0);
    else expect({ status: task.status, pending, bad }).toEqual({ status: task.status, pending: 0, bad: 0 });
  }
}

async function take(core: Core, id: string, jobs: Job[], step: (typeof STEPS)[number], at: number): Promise<void> {
  const task = pick(core.workflows.show(ANNA, id).members, at)?.id ?? "";
  if (step === "cancel") return await attempt(core.tasks.cancel(ANNA, task));
  if (step === "retry") return await attempt(core.tasks.retry(ANNA, task));
  if (step === "cancel all") return await attempt(core.workflows.cancel(ANNA, id));
  if (step === "retry all") return await attempt(core.workflows.retry(ANNA, id));
  if (step === "claim" || jobs.length === 0) jobs.push(...(await core.claim(2)));
  const [job] = jobs.splice(at % Math.max(1, jobs.length), 1);
  if (!job || step === "claim") return void (job && jobs.push(job));
  await core.settle(step === "failed" ? { ...failed(job, null), last: { progress: 0.5, message: null } } : done(job, job.args));
}

test("after each step; and in the end it can be brought to its value", async () => {
  await using core = await openCore({ policies: [{ ...policy("job"), input: {} }] });
  await fc.assert(
    fc.asyncProperty(trees, steps, async (tree, history) => {
      const { id } = await core.workflows.submit(ANNA, structuredClone(tree));
      const jobs: Job[] = [];
      for (const [step, at] of history) {
        await take(core, id, jobs, step, at);
        expectSound(core, id);
      }
      for (let rounds = 0; statusOf(core.workflows.show(ANNA, id).workflow.counts) !== "done"; rounds += 1) {
        expect(rounds).toBeLessThan(3);
        for (jobs.push(...(await core.claim(50))); jobs.length > 0; jobs.push(...(await core.claim(50))))
          for (const job of jobs.splice(0)) await core.settle(done(job, job.args));
        await attempt(core.workflows.retry(ANNA, id));
        expectSound(core, id);
      }
      const { result } = core.workflows.show(ANNA, id);
      expect(JSON.parse(result ?? "")).toEqual(outcomeOf(tree, new Set()).value);
      expect(core.notices.workflows.findLast((notice) => notice.id === id)?.finishedAt).not.toBeNull();
    }),
    { numRuns: 80 },
  );
});
