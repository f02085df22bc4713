import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { ANNA, type Core, openCore } from "../support/core.ts";
import { openFloor, TaskFiles } from "../support/core-workers.ts";

// The preload's limit holds for the first file of a run only.
setDefaultTimeout(30_000);

const files = new TaskFiles({
  brief: `input: t.Object({ gate: t.String() }), async run({ gate }, ctx) { await open(ctx, gate); return "in time"; }`,
  long: `input: t.Object({ mark: t.String() }), async run({ mark: file }, ctx) { ctx.progress(0); try { await ctx.sleep(60_000); } finally { mark(file, ctx.signal.reason.reason); } }`,
  deaf: `input: t.Object({ mark: t.String() }), run({ mark: file }, ctx) { ctx.progress(0); mark(file); while (true); }`,
  idle: `input: t.Object({}), run: () => null`,
});
afterAll(() => files[Symbol.dispose]());

/** What the next process finds: everything that had not ended queues, at no cost. */
async function nextLife(core: Core): Promise<Core> {
  await core.recorder.stop();
  return openCore({ file: core.snapshot(), random: core.random, policies: core.definitions.all() });
}

describe("a drain", () => {
  test("finishes what runs, and takes up nothing new", async () => {
    await using floor = await openFloor(files, { threads: 1, slots: 2 });
    const gate = files.path("gate");
    const running = await Promise.all([floor.started("brief", { gate }), floor.started("brief", { gate })]);
    const queued = await floor.submit("brief", { gate });
    const stopped = floor.supervisor.stop(Date.now() + 20_000);
    await Bun.write(gate, "");
    await stopped;
    for (const task of running) expect(await floor.ended(task)).toMatchObject({ status: "done", result: '"in time"' });
    expect(floor.core.store.get(queued.id)).toMatchObject({ status: "queued", fence: 1 });
    expect(floor.supervisor.running).toBe(0);
  });

  test("invariant 6: what does not finish in time is told to stop, then given back at no cost, deaf or not", async () => {
    // One slot each, so that the deaf one holds nobody else up.
    await using floor = await openFloor(files, { threads: 2, slots: 1 });
    const long = await floor.begun("long", { mark: files.path("long") });
    const deaf = await floor.begun("deaf", { mark: files.path("deaf") });
    const isolated = await floor.suspect("deaf", { mark: files.path("deaf") });
    await floor.reported(isolated);
    const from = Date.now();
    await Promise.all([floor.supervisor.stop(from + 400), floor.supervisor.stop(from + 60_000)]);
    expect(Date.now() - from).toBeLessThan(5_000);
    await floor.core.recorder.drained();
    for (const { id } of [long, deaf])
      expect(floor.core.store.get(id)).toMatchObject({ status: "queued", attempt: 1, deaths: 0 });
    expect(floor.core.store.get(isolated.id)).toMatchObject({ status: "queued", attempt: 1, deaths: 1 });
    expect(await files.marks("long")).toBe("interrupted");
    await using next = await nextLife(floor.core);
    expect((await next.claim(9)).map(({ attempt }) => attempt)).toEqual([1, 1]);
  });

  test("invariant 6: at whatever moment it comes, nothing is left that the next process would suspect", async () => {
    for (let moment = 0; moment < 8; moment += 1) {
      await using floor = await openFloor(files, { threads: 1, slots: 4 });
      const first = await floor.core.tasks.submitBatch(
        ANNA,
        "idle",
        Array.from({ length: 40 }, () => ({})),
      );
      const suspect = await floor.suspect("idle");
      if (moment >= 4) await floor.notices.status((first[moment] as { id: string }).id, "done");
      for (let turn = 0; turn < moment % 4; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      await floor.supervisor.stop(Date.now() + (moment % 2) * 200);
      await using next = await nextLife(floor.core);
      for (const { id } of first) expect(next.store.get(id)).toMatchObject({ deaths: 0, attempt: 1 });
      expect(next.store.get(suspect.id)).toMatchObject({ deaths: 1, attempt: 1 });
    }
  });

  test("invariant 6: waits for a claim under way, and gives back what it brings", async () => {
    await using floor = await openFloor(files, { threads: 1 });
    await floor.run("idle");
    const [claimed, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const claim = floor.core.hub.claim.bind(floor.core.hub);
    floor.core.hub.claim = async (request) => {
      const jobs = await claim(request);
      if (jobs.length > 0) {
        claimed.resolve();
        await gate.promise;
      }
      return jobs;
    };
    const task = await floor.submit("idle");
    await claimed.promise;
    let over = false;
    const stopped = floor.supervisor.stop(Date.now() + 20_000).then(() => {
      over = true;
    });
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(over).toBe(false);
    gate.resolve();
    await stopped;
    await using next = await nextLife(floor.core);
    expect(next.store.get(task.id)).toMatchObject({ status: "queued", deaths: 0, attempt: 1 });
  });

  test("with nothing to do is over at once, and stopping again is as once", async () => {
    await using floor = await openFloor(files, { threads: 1 });
    await floor.run("idle");
    const from = Date.now();
    await floor.supervisor.stop(from + 30_000);
    await floor.supervisor.stop(from + 30_000);
    expect(Date.now() - from).toBeLessThan(5_000);
  });

  test("before the threads are up ends just as well", async () => {
    await using floor = await openFloor(files, { threads: 2 });
    const task = await floor.submit("idle");
    await floor.supervisor.stop(Date.now() + 1_000);
    expect(floor.core.store.get(task.id)?.status).toBe("queued");
  });
});
