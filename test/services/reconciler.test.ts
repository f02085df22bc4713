import { describe, expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import * as life from "../../src/domain/task.ts";
import { isTerminal } from "../../src/domain/task.ts";
import { Signal } from "../../src/drivers/signal.ts";
import { type Job, LEASE_MS } from "../../src/ports/broker.ts";
import { Transitions } from "../../src/services/transitions.ts";
import { ANNA, type Core, done, failed, manual, openCore, released, suspected } from "../support/core.ts";

// The preload's limit holds for the first file of a run only.
setDefaultTimeout(30_000);

/** The core once more over what a crash at this moment would leave: a new process with an empty broker. */
const crash = (core: Core, more: { idle?: boolean } = {}): Promise<Core> =>
  openCore({ file: core.snapshot(), random: core.random, clock: core.clock, ...more });

/** Takes the broker for one whose workers live elsewhere, as with Redis. */
function elsewhere(core: Core): void {
  Object.defineProperty(core.hub, "kind", { value: "redis" });
}

/** Claims and ends whatever there is, suspects too, until nothing is left. */
async function finish(core: Core): Promise<void> {
  for (let turn = 0; turn < 1_000 && core.quotas.total > 0; turn += 1) {
    const jobs = [...(await core.claim(10)), ...(await core.claim(10, "w", true))];
    for (const job of jobs) await core.settle(done(job));
    manual(core).advance(1_000);
    await core.scheduler.tick();
    await core.work.grouped(() => {});
  }
  expect(core.quotas.total).toBe(0);
}

describe("after a crash", () => {
  test("invariant 1: what was queued is sent again, at its fence", async () => {
    await using before = await openCore();
    const sent = await before.tasks.submitBatch(ANNA, "job", [{}, {}, {}]);
    await using after = await crash(before);
    const jobs = await after.claim(9);
    expect(jobs.map(({ id }) => id)).toEqual(sent.map(({ id }) => id));
    expect(jobs.map(({ fence }) => fence)).toEqual([1, 1, 1]);
    for (const job of jobs) await after.settle(done(job));
    expect(sent.map(({ id }) => after.store.get(id)?.status)).toEqual(["done", "done", "done"]);
  });

  test("invariant 6: what was in progress is suspected, at no attempt's cost, and runs alone", async () => {
    await using before = await openCore();
    const sent = await before.tasks.submitBatch(ANNA, "job", [{}, {}]);
    await before.claim(1);
    await using after = await crash(before);
    expect(after.store.get((sent[0] as { id: string }).id)).toMatchObject({ status: "queued", deaths: 1, attempt: 1, fence: 2 });
    expect((await after.claim(9)).map(({ id }) => id)).toEqual([(sent[1] as { id: string }).id]);
    const [suspect] = await after.claim(9, "w", true);
    expect(suspect).toMatchObject({ id: (sent[0] as { id: string }).id, fence: 2, alone: true, attempt: 1 });
  });

  test("invariant 6: where threads left word of what they ran, that alone is suspected, whether or not its start was recorded", async () => {
    await using before = await openCore();
    const [ran, idle, unrecorded, queued] = await before.tasks.submitBatch(ANNA, "job", [{}, {}, {}, {}]);
    // The first two are in progress, of which one had only been claimed; the third had begun, and its row says queued.
    await before.claim(2);
    const begun = new Set([ran?.id, unrecorded?.id]);
    const file = before.snapshot();
    await using after = await openCore({
      file,
      random: before.random,
      wasRunning: ({ id, fence }) => fence === 1 && begun.has(id),
    });
    const row = (task: { id: string } | undefined) => after.store.get(task?.id ?? "");
    expect(row(ran)).toMatchObject({ status: "queued", deaths: 1, attempt: 1, fence: 2 });
    expect(row(idle)).toMatchObject({ status: "queued", deaths: 0, attempt: 1, fence: 2 });
    expect(row(unrecorded)).toMatchObject({ status: "queued", deaths: 1, attempt: 1, fence: 2 });
    expect(row(queued)).toMatchObject({ status: "queued", deaths: 0, attempt: 1, fence: 1 });
  });

  test("invariant 6: three deaths are poison, and two are not", async () => {
    await using first = await openCore();
    const { id } = await first.tasks.submit(ANNA, "job", {});
    await first.claim();
    await using second = await crash(first);
    const die = async (): Promise<void> => {
      const [job] = await second.claim(1, "w", true);
      await second.settle(suspected(job as { id: string; fence: number }));
    };
    await die();
    expect(second.store.get(id)).toMatchObject({ status: "queued", deaths: 2 });
    await die();
    expect(second.tasks.show(ANNA, id)).toMatchObject({ status: "failed", deaths: 3, error: { code: "poison" } });
    expect([second.quotas.total, second.window.inBroker]).toEqual([0, 0]);
  });

  test("invariant 6: a server that dies again and again condemns no suspect, which had a process of its own", async () => {
    const cores = [await openCore()];
    const { id } = await (cores[0] as Core).tasks.submit(ANNA, "job", {});
    for (let deaths = 0; deaths < 5; deaths += 1) {
      const core = cores.at(-1) as Core;
      expect(await core.claim(1, "w", deaths > 0)).toHaveLength(1);
      cores.push(await crash(core));
    }
    expect(cores.at(-1)?.store.get(id)).toMatchObject({ status: "queued", deaths: 1, attempt: 1 });
    for (const core of cores) await core[Symbol.asyncDispose]();
  });

  test("what was to be cancelled as it ran is cancelled, never queued", async () => {
    await using before = await openCore();
    const { id } = await before.tasks.submit(ANNA, "job", {});
    await before.claim();
    await before.tasks.cancel(ANNA, id);
    await using after = await crash(before);
    expect(after.store.get(id)?.status).toBe("cancelled");
  });

  test("what waits outside the window, for its time or for a retry is still there", async () => {
    await using before = await openCore({ window: { lane: 2, total: 4, bytes: 1_000 } });
    await before.tasks.submitBatch(ANNA, "job", [{}, {}, {}, {}, {}]);
    await before.tasks.submit(ANNA, "job", {}, { delayMs: 5_000 });
    const [job] = await before.claim();
    await before.settle(failed(job as Job, 60_000));
    await using after = await openCore({
      file: before.snapshot(),
      random: before.random,
      clock: before.clock,
      window: { lane: 2, total: 4, bytes: 1_000 },
    });
    expect(after.quotas.total).toBe(6);
    manual(after).advance(60_000);
    expect(await after.scheduler.tick()).toBe(2);
    await finish(after);
  });

  test("notices go on behind the seq of before", async () => {
    await using before = await openCore();
    const { seq } = await before.tasks.submit(ANNA, "job", {});
    await before.claim();
    await using after = await crash(before);
    expect(after.notices.all[0]?.task.seq).toBeGreaterThan(seq);
    expect(after.store.epoch).toBe(before.store.epoch);
  });

  test("invariant 1: crashes at any moment lose nothing, and nothing ends twice", async () => {
    const moments = fc.array(fc.constantFrom("submit", "claim", "done", "retry", "release", "crash"), {
      minLength: 5,
      maxLength: 25,
      size: "max",
    });
    await fc.assert(
      fc.asyncProperty(moments, async (history) => {
        const cores: Core[] = [await openCore()];
        const ids: string[] = [];
        const ends = new Map<string, number>();
        let held: Job[] = [];
        for (const moment of [...history, "crash"]) {
          const core = cores.at(-1) as Core;
          if (moment === "submit") ids.push((await core.tasks.submit(ANNA, "job", {})).id);
          if (moment === "claim") held.push(...(await core.claim(2)), ...(await core.claim(1, "w", true)));
          const job = moment === "done" || moment === "retry" || moment === "release" ? held.shift() : undefined;
          if (job && moment === "done") await core.settle(done(job));
          if (job && moment === "retry") await core.settle(failed(job, 10));
          if (job && moment === "release") await core.settle(released(job));
          if (moment !== "crash") continue;
          held = [];
          cores.push(await crash(core));
        }
        const last = cores.at(-1) as Core;
        await finish(last);
        for (const core of cores) {
          for (const { task } of core.notices.all) if (isTerminal(task.status)) ends.set(task.id, (ends.get(task.id) ?? 0) + 1);
        }
        for (const id of ids) {
          expect(isTerminal(last.store.get(id)?.status ?? "queued")).toBe(true);
          expect(ends.get(id)).toBe(1);
        }
        for (const core of cores.reverse()) await core[Symbol.asyncDispose]();
      }),
      { numRuns: 12, timeout: 5_000, endOnFailure: true },
    );
  });
});

describe("while workers live elsewhere", () => {
  test("a running task that the broker forgot is lost only when nobody has spoken of it for a lease", async () => {
    await using before = await openCore();
    const { id } = await before.tasks.submit(ANNA, "job", {});
    await before.claim();
    await using after = await crash(before, { idle: true });
    elsewhere(after);
    after.recorder.start();
    await after.reconciler.start();
    await after.reconciler.reconcile();
    manual(after).advance(LEASE_MS);
    await after.reconciler.reconcile();
    expect(after.store.get(id)?.status).toBe("in progress");
    manual(after).advance(1);
    await after.reconciler.reconcile();
    expect(after.store.get(id)).toMatchObject({ status: "queued", deaths: 0, attempt: 1, fence: 2 });
    expect(await after.claim()).toHaveLength(1);
  });

  test("a broker that forgets once more gives whoever runs something a lease once more", async () => {
    await using before = await openCore();
    const { id } = await before.tasks.submit(ANNA, "job", {});
    await before.claim();
    await using after = await crash(before, { idle: true });
    elsewhere(after);
    const ready = new Signal<[]>();
    after.hub.onReady = (listener) => ready.on(listener);
    after.recorder.start();
    await after.reconciler.start();
    await after.reconciler.reconcile();
    manual(after).advance(LEASE_MS - 1);
    // Its worker has spoken of it since, and could not again by now.
    ready.emit();
    await after.reconciler.reconcile();
    manual(after).advance(LEASE_MS);
    await after.reconciler.reconcile();
    expect(after.store.get(id)?.status).toBe("in progress");
    manual(after).advance(1);
    await after.reconciler.reconcile();
    expect(after.store.get(id)?.status).toBe("queued");
  });

  test("a job whose enqueue failed is sent again", async () => {
    await using core = await openCore();
    const enqueue = core.hub.enqueue.bind(core.hub);
    core.hub.enqueue = () => Promise.reject(new Error("out of reach"));
    const { id } = await core.tasks.submit(ANNA, "job", {});
    core.hub.enqueue = enqueue;
    expect(await core.claim()).toEqual([]);
    await core.reconciler.reconcile();
    expect((await core.claim()).map((job) => job.id)).toEqual([id]);
  });

  test("a cancel that the broker did not hear is told again", async () => {
    await using core = await openCore();
    const { id } = await core.tasks.submit(ANNA, "job", {});
    const [job] = (await core.claim()) as [Job];
    const cancel = core.hub.cancel.bind(core.hub);
    core.hub.cancel = () => Promise.reject(new Error("out of reach"));
    expect((await core.tasks.cancel(ANNA, id)).cancelRequested).toBe(true);
    core.hub.cancel = cancel;
    expect((await core.hub.heartbeat("w", [job])).cancelled).toEqual([]);
    await core.reconciler.reconcile();
    expect((await core.hub.heartbeat("w", [job])).cancelled).toEqual([id]);
  });

  test("what ended while the broker was asked has ended", async () => {
    await using before = await openCore();
    const { id } = await before.tasks.submit(ANNA, "job", {});
    await before.claim();
    await using after = await crash(before, { idle: true });
    // Between the comparison and its transaction, the outcome is recorded.
    const enqueue = after.hub.enqueue.bind(after.hub);
    after.hub.enqueue = async (jobs) => {
      const task = after.store.get(id);
      if (task?.status === "in progress") {
        after.work.now((tx) => {
          const transitions = new Transitions({ ...after, notifier: after.notices }, tx);
          transitions.stage(task, life.complete(task, 1), "1", 1);
          transitions.store();
        });
      }
      await enqueue(jobs);
    };
    after.recorder.start();
    await after.reconciler.start();
    expect(after.store.get(id)?.status).toBe("done");
    expect(after.notices.statuses(id)).toEqual(["done"]);
  });

  test("invariants 5, 6: a worker that falls silent loses its tasks, which it may have died of; one that speaks keeps them", async () => {
    await using core = await openCore();
    const [kept, lost] = await core.tasks.submitBatch(ANNA, "job", [{}, {}]);
    const [job] = (await core.claim(1, "speaks")) as [Job];
    await core.claim(1, "silent");
    manual(core).advance(LEASE_MS + 1);
    await core.hub.heartbeat("speaks", [job]);
    await core.reconciler.reconcile();
    expect(core.store.get((kept as { id: string }).id)).toMatchObject({ status: "in progress", fence: 1 });
    expect(core.store.get((lost as { id: string }).id)).toMatchObject({ status: "queued", fence: 2, attempt: 1, deaths: 1 });
  });

  test("many rows are compared page by page", async () => {
    await using before = await openCore({ idle: true });
    for (let i = 0; i < 3; i += 1)
      await before.tasks.submitBatch(
        ANNA,
        "job",
        Array.from({ length: 400 }, () => ({})),
      );
    await using after = await openCore({
      file: before.snapshot(),
      random: before.random,
      window: { lane: 5_000, total: 5_000, bytes: 1_000_000 },
    });
    await after.work.grouped(() => {});
    expect(await after.claim(2_000)).toHaveLength(1_200);
  });
});
