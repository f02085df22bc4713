import { describe, expect, test } from "bun:test";
import type { Job } from "../../src/ports/broker.ts";
import { ANNA, type Core, done, failed, openCore, policy, released } from "../support/core.ts";

/** One task, claimed. */
async function running(core: Core): Promise<Job> {
  await core.tasks.submit(ANNA, "job", {});
  return (await core.claim())[0] as Job;
}

describe("progress", () => {
  const report = ({ id, fence }: Job, progress: number, message: string | null = null) => ({
    id,
    fence,
    progress,
    message,
    at: 1,
  });

  test("reaches listeners at once without a new seq, and the row when it is saved", async () => {
    await using core = await openCore();
    const job = await running(core);
    const seq = core.store.currentSeq();
    core.hub.report([report(job, 0.5, "half")]);
    expect(core.notices.all.at(-1)).toMatchObject({ kind: "progress", task: { progress: 0.5, message: "half", seq } });
    expect(core.tasks.show(ANNA, job.id)).toMatchObject({ progress: 0.5, message: "half" });
    core.recorder.saveProgress();
    await core.work.grouped(() => {});
    expect(core.db.query("SELECT progress, message, seq FROM tasks").get()).toEqual({ progress: 0.5, message: "half", seq });
    expect(core.store.currentSeq()).toBe(seq);
  });

  test("none follows the end, and none of another dispatch is told", async () => {
    await using core = await openCore();
    const [first, second] = [await running(core), await running(core)] as [Job, Job];
    await core.settle(done(first));
    await core.settle(released(second));
    const before = core.notices.all.length;
    core.hub.report([report(first, 0.9), report(second, 0.9), report({ ...first, id: "nobody" }, 0.9)]);
    expect(core.notices.all.length).toBe(before);
    await core.claim();
    core.hub.report([report(second, 0.9)]);
    expect(core.notices.all.filter(({ kind }) => kind === "progress")).toEqual([]);
    core.recorder.saveProgress();
    await core.work.grouped(() => {});
    expect(core.tasks.show(ANNA, first.id).progress).toBe(1);
    expect(core.tasks.show(ANNA, second.id).progress).toBeNull();
  });

  for (const saved of [false, true]) {
    test(`stays with a task that is to be cancelled, fails or is cancelled (${saved ? "saved" : "not saved"} before)`, async () => {
      await using core = await openCore({ policies: [policy("job")] });
      const jobs = [await running(core), await running(core)] as [Job, Job];
      core.hub.report(jobs.map((job) => report(job, 0.4, "at work")));
      if (saved) core.recorder.saveProgress();
      await core.work.grouped(() => {});
      expect(await core.tasks.cancel(ANNA, jobs[0].id)).toMatchObject({
        status: "in progress",
        progress: 0.4,
        message: "at work",
        cancelRequested: true,
      });
      await core.settle({ kind: "cancelled", id: jobs[0].id, fence: 1, at: 1 });
      await core.settle(failed(jobs[1], null));
      for (const [i, status] of ["cancelled", "failed"].entries()) {
        expect(core.tasks.show(ANNA, (jobs[i] as Job).id)).toMatchObject({ status, progress: 0.4, message: "at work" } as never);
      }
    });
  }

  test("after a cancel request it tells of the request, with the row's seq", async () => {
    await using core = await openCore();
    const job = await running(core);
    core.hub.report([report(job, 0.1)]);
    const { seq } = await core.tasks.cancel(ANNA, job.id);
    core.hub.report([report(job, 0.2)]);
    expect(core.notices.all.at(-1)?.task).toMatchObject({ progress: 0.2, cancelRequested: true, seq });
    expect(core.tasks.show(ANNA, job.id).progress).toBe(0.2);
  });

  test("that came before the start was stored is told after it, also where a cancel request shares the start's commit", async () => {
    await using core = await openCore();
    const { id } = await core.tasks.submit(ANNA, "job", {});
    const [job] = (await core.hub.claim({ worker: "w", max: 1, alone: false, tasks: ["job"] })) as [Job];
    const grouped = core.work.grouped.bind(core.work);
    let cancelled: Promise<unknown> | undefined;
    // The first to be handed in is the recorder's page with the start; the request joins its group.
    core.work.grouped = (work) => {
      core.work.grouped = grouped;
      const committed = grouped(work);
      cancelled = core.tasks.cancel(ANNA, id);
      return committed;
    };
    core.hub.report([report(job, 0.4, "early")]);
    await core.recorder.drained();
    await cancelled;
    const told = core.notices.all.map(({ task }) => task);
    expect(told.map(({ seq }) => seq)).toEqual(told.map(({ seq }) => seq).sort((a, b) => a - b));
    expect(told.at(-1)).toMatchObject({ status: "in progress", cancelRequested: true, progress: 0.4, message: "early" });
  });
});
