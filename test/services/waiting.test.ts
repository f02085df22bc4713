import { describe, expect, test } from "bun:test";
import type { TaskPolicy } from "../../src/domain/definition.ts";
import { Unavailable } from "../../src/domain/errors.ts";
import { rateOf } from "../../src/domain/limits.ts";
import type { WorkerInfo } from "../../src/ports/broker.ts";
import type { Caller } from "../../src/services/tasks.ts";
import type { WaitingTask } from "../../src/services/waiting.ts";
import { ADMIN, ANNA, BEN, type Core, done, manual, openCore, policy } from "../support/core.ts";

/** What is known of workers is as old as this at most, in milliseconds. */
const FRESH_MS = 1_000;

/** One task with these limits, and a worker that has the task and idle threads. */
async function open(limits: Partial<TaskPolicy> = {}): Promise<Core> {
  const core = await openCore({ policies: [policy("job", limits)] });
  await worker(core);
  return core;
}

async function worker(core: Core, about: Partial<WorkerInfo> = {}, id = "w"): Promise<void> {
  const base = { host: "here", pid: 1, version: "1", threads: 100, slots: 1, tasks: ["job"], startedAt: 0 };
  await core.hub.heartbeat(id, [], { ...base, ...about });
  manual(core).advance(FRESH_MS + 1);
}

const submit = async (core: Core, caller: Caller, count: number): Promise<string[]> =>
  (
    await core.tasks.submitBatch(
      caller,
      "job",
      Array.from({ length: count }, () => ({})),
    )
  ).map(({ id }) => id);

const why = (core: Core, id = ""): Promise<string | undefined> => core.tasks.whyWaiting(core.tasks.show(ADMIN, id));

async function queued(core: Core): Promise<WaitingTask | undefined> {
  const [queue] = await core.waiting.explain(core.pauses.queues());
  expect(queue?.queued).toBe(queue?.tasks[0]?.queued as number);
  return queue?.tasks[0];
}

describe("why a task waits", () => {
  test("it does not: a worker is about to take it, it runs, it is scheduled, it has ended", async () => {
    await using core = await open();
    const [id] = await submit(core, ANNA, 1);
    expect(await why(core, id)).toBeUndefined();
    expect(await queued(core)).toMatchObject({ queued: 1, waiting: undefined, limits: undefined });
    const later = await core.tasks.submit(ANNA, "job", {}, { delayMs: 60_000 });
    expect(await why(core, later.id)).toBeUndefined();
    const [job] = await core.claim();
    expect(await why(core, id)).toBeUndefined();
    await core.settle(done(job as never));
    expect(await why(core, id)).toBeUndefined();
  });

  test("as many run as may", async () => {
    await using core = await open({ concurrency: 2 });
    const ids = await submit(core, ANNA, 3);
    expect(await why(core, ids[0])).toBeUndefined();
    const [job] = await core.claim(9);
    const text = 'the task "job" has reached its limit: 2 of 2 run';
    expect(await why(core, ids[2])).toBe(text);
    expect(await queued(core)).toMatchObject({ queued: 1, waiting: text, limits: { concurrency: 2, running: 2 } });
    await core.settle(done(job as never));
    expect(await why(core, ids[2])).toBeUndefined();
    expect(await queued(core)).toMatchObject({ waiting: undefined, limits: { running: 1, perUser: undefined } });
  });

  test("its owner has as many running as one user may, and others go on", async () => {
    await using core = await open({ perUser: 1 });
    const ids = await submit(core, ANNA, 3);
    const [bens] = await submit(core, BEN, 1);
    // One of each.
    const jobs = await core.claim(9);
    expect(jobs).toHaveLength(2);
    await core.settle(done(jobs.find(({ owner }) => owner === BEN.id) as never));
    const [next] = await submit(core, BEN, 1);
    expect(await why(core, ids[2])).toBe('its owner has as many of the task "job" running as one user may: 1 of 1');
    expect([await why(core, bens), await why(core, next)]).toEqual([undefined, undefined]);
    expect(await queued(core)).toEqual({
      name: "job",
      queued: 3,
      paused: false,
      waiting: "2 of 3 queued are of users who have as many running as one may: 1",
      limits: {
        concurrency: undefined,
        perUser: 1,
        running: 1,
        usersAtLimit: 1,
        queuedOfThose: 2,
        nextStartAt: undefined,
      },
    });
  });

  test("its rate is used up: the time of the next start", async () => {
    await using core = await open({ rate: rateOf(1, 60_000) });
    const ids = await submit(core, ANNA, 2);
    await core.claim(9);
    const at = manual(core).now() + 60_000;
    const text = `the task "job" has used up its rate: the next one begins at ${new Date(at).toISOString()}`;
    expect(await why(core, ids[1])).toBe(text);
    expect(await queued(core)).toMatchObject({ waiting: text, limits: { running: undefined, nextStartAt: at } });
    manual(core).advance(60_000);
    expect(await why(core, ids[1])).toBeUndefined();
  });

  test("every limit that holds it back is named", async () => {
    await using core = await open({ concurrency: 1, perUser: 1, rate: rateOf(1, 60_000) });
    const [, id] = await submit(core, ANNA, 2);
    await core.claim(9);
    expect((await why(core, id))?.split("; ")).toEqual([
      expect.stringContaining("1 of 1 run"),
      expect.stringContaining("rate"),
      expect.stringContaining("its owner"),
    ]);
  });

  test("what runs is not known yet, after the broker has lost its data", async () => {
    await using core = await open({ concurrency: 2 });
    const [id] = await submit(core, ANNA, 1);
    core.hub.limitUse = async () => [{ name: "job", running: 0, byOwner: new Map(), tokenInMs: 0, countedInMs: 10 }];
    const text = 'what runs of the task "job" is counted anew, as the broker has lost its data';
    expect(await why(core, id)).toBe(text);
    expect(await queued(core)).toMatchObject({ waiting: text });
  });

  test("a pause, workers that are missing, and a broker that is away come first", async () => {
    await using core = await openCore({ policies: [policy("job", { concurrency: 1 })] });
    const [, id] = await submit(core, ANNA, 2);
    await core.claim(1);
    expect(await why(core, id)).toBe("no worker is there");
    await worker(core, { tasks: [] });
    expect(await why(core, id)).toBe('no worker has the task "job"');
    await worker(core, { queues: ["mail"] });
    expect(await why(core, id)).toBe('no worker that has it serves the queue "default"');
    core.hub.trouble = () => "the connection was lost";
    core.hub.limitUse = () => Promise.reject(new Unavailable("redis_unavailable", ""));
    expect(await why(core, id)).toBe("the broker is out of reach");
    expect(await queued(core)).toMatchObject({ waiting: "the broker is out of reach", limits: undefined });
    await core.pauses.pause({ kind: "queue", name: "default" });
    expect(await why(core, id)).toBe('the queue "default" is paused');
  });

  test("no thread of the workers that take it is idle", async () => {
    await using core = await open();
    await worker(core, { threads: 2 });
    const ids = await submit(core, ANNA, 5);
    await core.claim(2);
    manual(core).advance(FRESH_MS + 1);
    const now = "the worker that takes it runs 2 tasks now";
    expect(await why(core, ids[4])).toBe(`its turn has not come: ${now}; its owner has 3 of it queued`);
    expect(await queued(core)).toMatchObject({ waiting: now.replace(" it ", " them ") });
    await worker(core, { threads: 1 }, "v");
    expect(await why(core, ids[4])).toBeUndefined();
    await core.claim(2, "v");
    manual(core).advance(FRESH_MS + 1);
    expect(await why(core, ids[4])).toBe("its turn has not come: the 2 workers that take it run 4 tasks now");
  });
});
