import { describe, expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { isTerminal } from "../../src/domain/task.ts";
import type { BrokerEvent, Job, Offset } from "../../src/ports/broker.ts";
import { Recorder } from "../../src/services/recorder.ts";
import { ANNA, type Core, done, failed, manual, openCore, released, suspected } from "../support/core.ts";

// The preload's limit holds for the first file of a run only.
setDefaultTimeout(30_000);

/** Everything that the database says about tasks. */
const rows = (core: Core): unknown[] => core.db.query("SELECT * FROM tasks ORDER BY n").all();
const logs = (core: Core): unknown[] => core.db.query("SELECT * FROM task_logs ORDER BY task, line").all();

/** A second recorder over the same rows, which reads `events` from a stream of its own. */
async function replay(core: Core, events: readonly BrokerEvent[], epoch = "replay"): Promise<void> {
  const hub = Object.assign(Object.create(core.hub) as typeof core.hub, {
    events: async (from: Offset | null, limit: number) => {
      const start = from?.epoch === epoch ? Number(from.id) : 0;
      const page = events.slice(start, start + limit);
      return { events: page, offset: { epoch, id: String(start + page.length) }, more: start + page.length < events.length };
    },
    acknowledge: async () => {},
    onEvents: () => () => {},
    onProgress: () => () => {},
  });
  const recorder = new Recorder({ ...core, notifier: core.notices, hub, onPutOff: () => {} });
  recorder.start();
  await recorder.drained();
  await recorder.stop();
}

/** One task, claimed. */
async function running(core: Core): Promise<Job> {
  await core.tasks.submit(ANNA, "job", {});
  return (await core.claim())[0] as Job;
}

describe("recording", () => {
  test("each event becomes a row and then a notice, in seq order", async () => {
    await using core = await openCore();
    const job = await running(core);
    await core.settle(done(job, '{"ok":true}'));
    const task = core.tasks.show(ANNA, job.id);
    expect(task).toMatchObject({
      status: "done",
      result: '{"ok":true}',
      progress: 1,
      finishedAt: 1,
      startedAt: core.clock.now(),
    });
    expect(core.notices.statuses(job.id)).toEqual(["queued", "in progress", "done"]);
    const seqs = core.notices.all.map(({ task: { seq } }) => seq);
    expect(seqs).toEqual([...seqs].sort((a, b) => a - b));
    expect(task.seq).toBe(seqs.at(-1) as number);
  });

  test("whoever hears of a transition finds it stored", async () => {
    await using core = await openCore();
    const found: boolean[] = [];
    const transition = core.notices.transition.bind(core.notices);
    core.notices.transition = (task, result) => {
      const stored = core.db.query<{ seq: number }, [string]>("SELECT seq FROM tasks WHERE id = ?").get(task.id);
      found.push(!core.db.inTransaction && (stored?.seq ?? 0) >= task.seq);
      transition(task, result);
    };
    const job = await running(core);
    await core.settle(done(job));
    expect(found).toEqual([true, true, true]);
  });

  test("invariant 2: an outcome of an earlier dispatch is refused", async () => {
    await using core = await openCore();
    const job = await running(core);
    await core.settle(released(job));
    const before = rows(core);
    await replay(core, [done({ ...job, fence: job.fence })]);
    await replay(
      core,
      [{ kind: "started", id: job.id, fence: 99, at: 1, worker: "w" }, failed({ ...job, fence: 99 }, null)],
      "another",
    );
    expect(rows(core)).toEqual(before);
    expect(core.store.get(job.id)).toMatchObject({ status: "queued", fence: job.fence + 1 });
  });

  test("invariant 2: what has ended stays ended, whatever comes later", async () => {
    await using core = await openCore();
    const job = await running(core);
    await core.settle(done(job, "1"));
    const before = rows(core);
    await replay(core, [failed(job, 0), released(job), suspected(job), { kind: "lost", id: job.id, fence: job.fence, at: 1 }]);
    expect(rows(core)).toEqual(before);
  });

  test("an outcome counts though its started event was never seen", async () => {
    await using core = await openCore({ idle: true });
    const task = await core.tasks.submit(ANNA, "job", {});
    await replay(core, [done({ id: task.id, fence: 1 }, "7")]);
    expect(core.tasks.show(ANNA, task.id)).toMatchObject({ status: "done", result: "7" });
  });

  test("events of tasks that are gone are passed over", async () => {
    await using core = await openCore();
    await replay(core, [{ kind: "started", id: "nobody", fence: 1, at: 1, worker: "w" }, done({ id: "nobody", fence: 1 })]);
    expect(core.store.offset("embedded")).toEqual({ epoch: "replay", id: "2" });
  });

  test("invariant 3: the offset is stored with what it caused, or neither is", async () => {
    await using core = await openCore({ idle: true });
    const task = await core.tasks.submit(ANNA, "job", {});
    const save = core.store.saveOffset.bind(core.store);
    core.store.saveOffset = () => {
      throw new Error("no disk");
    };
    const before = rows(core);
    await replay(core, [done({ id: task.id, fence: 1 })]);
    expect(rows(core)).toEqual(before);
    expect(core.store.get(task.id)?.status).toBe("queued");
    expect([core.quotas.total, core.window.inBroker]).toEqual([1, 1]);
    expect(core.notices.statuses(task.id)).toEqual(["queued"]);
    core.store.saveOffset = save;
    await replay(core, [done({ id: task.id, fence: 1 })]);
    expect(core.store.get(task.id)?.status).toBe("done");
    expect(core.store.offset("embedded")).toEqual({ epoch: "replay", id: "1" });
    expect([core.quotas.total, core.window.inBroker]).toEqual([0, 0]);
  });

  test("a start that is told once more, as when a wiped broker has handed out the same dispatch again, changes nothing", async () => {
    await using core = await openCore();
    const { id, fence } = await running(core);
    const before = [rows(core), core.notices.all.length];
    await replay(core, [{ kind: "started", id, fence, at: 2, worker: "w" }]);
    expect([rows(core), core.notices.all.length]).toEqual(before);
  });

  test("invariant 3: what could not be stored is behind no offset", async () => {
    await using core = await openCore({ idle: true });
    const task = await core.tasks.submit(ANNA, "job", {});
    const before = core.store.offset("embedded");
    core.store.complete = () => {
      throw new Error("no disk");
    };
    await replay(core, [done({ id: task.id, fence: 1 })]);
    expect(core.store.get(task.id)?.status).toBe("queued");
    expect(core.store.offset("embedded")).toEqual(before);
  });

  test("invariant 3: nothing is acknowledged before it is stored", async () => {
    await using core = await openCore();
    const acknowledge = core.hub.acknowledge.bind(core.hub);
    const stored: boolean[] = [];
    core.hub.acknowledge = async (offset) => {
      stored.push(core.store.offset("embedded")?.id === offset.id && !core.db.inTransaction);
      await acknowledge(offset);
    };
    const job = await running(core);
    await core.settle(done(job));
    expect(stored).toEqual([true, true]);
  });

  test("an event that comes up as the last ones are acknowledged is not left lying", async () => {
    for (let ticks = 0; ticks < 8; ticks += 1) {
      await using core = await openCore();
      await core.tasks.submitBatch(ANNA, "job", [{}, {}]);
      expect(await core.claim()).toHaveLength(1);
      for (let tick = 0; tick < ticks; tick += 1) await undefined;
      // Answers only once its started event is recorded.
      expect(await core.claim()).toHaveLength(1);
    }
  });

  test("a stream of another life is read from its beginning", async () => {
    await using core = await openCore({ idle: true });
    core.work.now(() => core.store.saveOffset("embedded", { epoch: "an earlier life", id: "99" }));
    const task = await core.tasks.submit(ANNA, "job", {});
    core.recorder.start();
    const [job] = await core.claim();
    await core.settle(done(job as Job));
    expect(core.store.get(task.id)?.status).toBe("done");
  });

  test("log lines are kept with their attempt's, in order", async () => {
    await using core = await openCore();
    const job = await running(core);
    const line = (message: string) => ({ at: 5, level: "info" as const, message });
    await core.hub.log([{ id: job.id, fence: job.fence, log: [line("one"), line("two")] }]);
    await core.settle({ ...done(job), log: [line("three")] });
    expect(core.tasks.logs(ANNA, job.id)).toEqual(["one", "two", "three"].map(line));
  });
});

describe("recording twice", () => {
  /** Random lives of a few tasks, and the events that they left. */
  const histories = fc.array(
    fc.record({
      what: fc.constantFrom("submit", "claim", "done", "retry", "fail", "release", "suspect", "log"),
      pick: fc.nat(9),
    }),
    {
      minLength: 5,
      maxLength: 40,
      size: "max",
    },
  );

  async function live(core: Core, history: readonly { what: string; pick: number }[], events: BrokerEvent[]): Promise<void> {
    const read = core.hub.events.bind(core.hub);
    core.hub.events = async (...args) => {
      const page = await read(...args);
      events.push(...page.events);
      return page;
    };
    const held: Job[] = [];
    // Every history has something to tell.
    for (const { what, pick } of [
      { what: "submit", pick: 0 },
      { what: "claim", pick: 1 },
      { what: "log", pick: 0 },
      ...history,
    ]) {
      if (what === "submit") await core.tasks.submit(ANNA, "job", {});
      if (what === "claim") held.push(...(await core.claim(2, "w", pick % 3 === 0)));
      const job = held[pick % Math.max(1, held.length)];
      if (!job || what === "submit" || what === "claim") continue;
      if (what === "log")
        await core.hub.log([{ id: job.id, fence: job.fence, log: [{ at: 1, level: "info", message: "line" }] }]);
      else held.splice(held.indexOf(job), 1);
      if (what === "done") await core.settle(done(job));
      if (what === "retry") await core.settle(failed(job, 0));
      if (what === "fail") await core.settle(failed(job, null));
      if (what === "release") await core.settle(released(job));
      if (what === "suspect") await core.settle(suspected(job));
      if (what === "retry") {
        manual(core).advance(1);
        await core.scheduler.tick();
      }
    }
    await core.recorder.drained();
  }

  test("invariant 3: reading everything once more, all of it or its last part, changes nothing", async () => {
    await fc.assert(
      fc.asyncProperty(histories, fc.nat(40), async (history, from) => {
        await using core = await openCore();
        const events: BrokerEvent[] = [];
        await live(core, history, events);
        // What still runs could take a started event again; that is the one thing that the last life's offset guards.
        const ended = events.filter(({ id, fence }) => {
          const task = core.store.get(id);
          return !task || isTerminal(task.status) || task.fence !== fence || !task.dispatched;
        });
        const before = [rows(core), logs(core), core.notices.all.length, core.window.inBroker, core.quotas.total];
        await replay(core, ended.slice(from % Math.max(1, ended.length)), "last part");
        await replay(core, ended, "all");
        expect([rows(core), logs(core), core.notices.all.length, core.window.inBroker, core.quotas.total]).toEqual(before);
      }),
      { numRuns: 12, timeout: 5_000 },
    );
  });
});
