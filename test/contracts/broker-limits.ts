import { describe, expect, test } from "bun:test";
import { rateOf, type TaskLimits } from "../../src/domain/limits.ts";
import { type Job, LEASE_MS, type LimitUse, type Restraints } from "../../src/ports/broker.ts";
import { within } from "../support/waiting.ts";
import { type Bench, ids, job, several } from "./bench.ts";

const FREE: Restraints = { limits: [], pausedTasks: [], pausedQueues: [] };
const limited = (limits: TaskLimits): Restraints => ({ ...FREE, limits: [{ ...limits, name: "job" }] });
const ownersOf = (jobs: readonly Job[]): string[] => jobs.map(({ owner }) => owner).sort();

const end = (bench: Bench, worker: string, jobs: readonly Job[]) =>
  bench.broker.settle(
    worker,
    jobs.map(({ id, fence }) => ({ kind: "done", id, fence, at: 1, result: "null" })),
  );

/** Resolves with the next call that there is work, from now on. */
function work(bench: Bench): Promise<unknown> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const unsubscribe = bench.broker.onWork(() => resolve());
  return within(promise, "work").finally(unsubscribe);
}

/** What is said of the one task, to whoever asks for one owner or for all. */
async function useOf(bench: Bench, owner?: string): Promise<LimitUse | undefined> {
  const [use, ...others] = await bench.broker.limitUse(["other", "job", "nothing"], owner);
  expect(others).toEqual([]);
  return use;
}

export function limitContract(open: () => Promise<Bench>): void {
  describe("concurrency", () => {
    test("no more run than a task may, whoever claims, and the next one when one has ended", async () => {
      await using bench = await open();
      await bench.broker.restrain(limited({ concurrency: 3 }));
      const jobs = several(9);
      await bench.broker.enqueue(jobs);
      const first = await bench.claim("w", 2);
      const second = await bench.claim("v", 9);
      expect([first.length, second.length]).toEqual([2, 1]);
      expect(await bench.claim("w", 9)).toEqual([]);
      const told = work(bench);
      expect(await end(bench, "w", first)).toEqual(["taken", "taken"]);
      await told;
      expect(ids(await bench.claim("v", 9))).toEqual(ids(jobs.slice(3, 5)));
      expect(await bench.claim("v", 9)).toEqual([]);
    });

    test("another task is not held up by it", async () => {
      await using bench = await open();
      await bench.broker.restrain(limited({ concurrency: 1 }));
      await bench.broker.enqueue([...several(5), job({ name: "other" })]);
      expect(await bench.claim("w", 9)).toHaveLength(2);
      expect(await bench.claim("w", 9)).toEqual([]);
    });

    test("it counts over queues and priorities, and suspects as well", async () => {
      await using bench = await open();
      await bench.broker.restrain(limited({ concurrency: 2 }));
      await bench.broker.enqueue([job({ alone: true }), job({ queue: "slow" }), job({ priority: "high" }), job()]);
      expect(await bench.claim("w", 9, { alone: true })).toHaveLength(1);
      expect(await bench.claim("w", 9)).toHaveLength(1);
      expect(await bench.claim("w", 9)).toEqual([]);
    });

    test.each(["released", "cancelled", "failed"] as const)("a job that ends as %s leaves its place", async (kind) => {
      await using bench = await open();
      await bench.broker.restrain(limited({ concurrency: 1 }));
      await bench.broker.enqueue(several(2));
      const [{ id, fence }] = (await bench.claim("w", 2)) as [Job];
      const more = kind === "failed" ? { error: { code: "error", message: "" }, retryInMs: null } : {};
      await bench.broker.settle("w", [{ id, fence, at: 1, kind, ...more } as never]);
      expect(await bench.claim("w", 2)).toHaveLength(1);
    });

    test("so do the jobs of a worker that falls silent, and of one that leaves", async () => {
      await using bench = await open();
      await bench.broker.restrain(limited({ concurrency: 1 }));
      await bench.broker.enqueue(several(3));
      await bench.broker.reap();
      expect(await bench.claim("silent", 9)).toHaveLength(1);
      await bench.clock.advance(LEASE_MS + 1);
      await bench.broker.heartbeat("leaving", []);
      expect(await bench.broker.reap()).toBe(1);
      expect(await bench.claim("leaving", 9)).toHaveLength(1);
      await bench.broker.leave("leaving");
      expect(await bench.claim("w", 9)).toHaveLength(1);
      expect(await bench.claim("w", 9)).toEqual([]);
    });

    test("a later dispatch of a running job takes its place over", async () => {
      await using bench = await open();
      await bench.broker.restrain(limited({ concurrency: 1 }));
      const one = job();
      await bench.broker.enqueue([one]);
      await bench.claim("w", 1);
      await bench.broker.enqueue([{ ...one, fence: 2 }]);
      expect(await bench.claim("v", 9)).toEqual([{ ...one, fence: 2 }]);
      expect(await end(bench, "w", [one])).toEqual(["lease lost"]);
      await bench.broker.enqueue([job()]);
      expect(await bench.claim("v", 9)).toEqual([]);
    });

    test("a cancelled running job counts until it has ended", async () => {
      await using bench = await open();
      await bench.broker.restrain(limited({ concurrency: 1 }));
      const [one, two] = several(2) as [Job, Job];
      await bench.broker.enqueue([one, two]);
      await bench.claim("w", 1);
      await bench.broker.cancel([one.id]);
      expect(await bench.claim("v", 1)).toEqual([]);
      await bench.broker.settle("w", [{ kind: "cancelled", id: one.id, fence: 1, at: 1 }]);
      expect(await bench.claim("v", 1)).toEqual([two]);
    });

    test("a limit that comes or changes counts what runs already; one that goes lets the rest through", async () => {
      await using bench = await open();
      await bench.broker.enqueue(several(9));
      const running = await bench.claim("w", 3);
      await bench.broker.restrain(limited({ concurrency: 4 }));
      expect(await bench.claim("w", 9)).toHaveLength(1);
      await bench.broker.restrain(limited({ concurrency: 2 }));
      await end(bench, "w", running.slice(0, 2));
      expect(await bench.claim("w", 9)).toEqual([]);
      await end(bench, "w", running.slice(2));
      expect(await bench.claim("w", 9)).toHaveLength(1);
      const told = work(bench);
      await bench.broker.restrain(FREE);
      await told;
      expect(await bench.claim("w", 9)).toHaveLength(4);
    });

    test("many at once are never more than that", async () => {
      await using bench = await open();
      await bench.broker.restrain(limited({ concurrency: 5, perUser: 2 }));
      await bench.broker.enqueue(several(60).map((each, i) => ({ ...each, owner: `owner-${i % 7}` })));
      for (let ended = 0; ended < 60; ) {
        const claims = await Promise.all(Array.from({ length: 8 }, (_, i) => bench.claim(`w${i}`, 3)));
        const count = claims.flat().length;
        expect(count).toBeWithin(1, 6);
        const owners = ownersOf(claims.flat());
        for (const owner of owners) expect(owners.filter((each) => each === owner).length).toBeLessThan(3);
        for (const [i, jobs] of claims.entries()) await end(bench, `w${i}`, jobs);
        ended += count;
      }
      expect(await bench.claim("w", 9)).toEqual([]);
    });
  });

  describe("per user", () => {
    const OWNERS = ["a", "a", "a", "b", "c", "a", "b"];
    const mixed = (): Job[] => several(OWNERS.length).map((each, i) => ({ ...each, owner: OWNERS[i] as string }));

    test("each owner has no more than that, and the others go on", async () => {
      await using bench = await open();
      await bench.broker.restrain(limited({ perUser: 1 }));
      await bench.broker.enqueue(mixed());
      const first = await bench.claim("w", 9);
      expect(ownersOf(first)).toEqual(["a", "b", "c"]);
      expect(await bench.claim("v", 9)).toEqual([]);
      const told = work(bench);
      const mine = first.filter(({ owner }) => owner === "a");
      await end(bench, "w", mine);
      await told;
      const next = await bench.claim("v", 9);
      expect(ownersOf(next)).toEqual(["a"]);
      await end(bench, "w", first);
      await end(bench, "v", next);
      expect(ownersOf(await bench.claim("v", 9))).toEqual(["a", "b"]);
    });

    test("an owner who waits for that may cancel what waits, and send more", async () => {
      await using bench = await open();
      await bench.broker.restrain(limited({ perUser: 1 }));
      const [one, two, three] = several(3) as [Job, Job, Job];
      await bench.broker.enqueue([one, two]);
      await bench.claim("w", 9);
      expect(await bench.claim("w", 9)).toEqual([]);
      await bench.broker.cancel([two.id]);
      await bench.broker.enqueue([three]);
      expect(await bench.claim("w", 9)).toEqual([]);
      await end(bench, "w", [one]);
      expect(await bench.claim("w", 9)).toEqual([three]);
      await end(bench, "w", [three]);
      // Whoever stood in line twice would have two turns.
      await bench.broker.restrain(FREE);
      await bench.broker.enqueue([...several(4), ...several(4).map((each) => ({ ...each, owner: "b" }))]);
      const turns: (string | undefined)[] = [];
      for (let i = 0; i < 6; i += 1) turns.push((await bench.claim("w", 1))[0]?.owner);
      expect(turns.filter((owner) => owner === "b")).toHaveLength(3);
    });

    test("it holds over queues and priorities", async () => {
      await using bench = await open();
      await bench.broker.restrain(limited({ perUser: 2 }));
      const jobs = [job({ priority: "high" }), job({ queue: "slow" }), job({ priority: "low" }), job()];
      await bench.broker.enqueue(jobs);
      const first = await bench.claim("w", 9);
      expect(first).toHaveLength(2);
      expect(await bench.claim("w", 9)).toEqual([]);
      await end(bench, "w", first);
      const rest = await bench.claim("w", 9);
      expect(ids([...first, ...rest]).sort()).toEqual(ids(jobs).sort());
    });

    test("a limit that goes lets everybody through who waited for it", async () => {
      await using bench = await open();
      await bench.broker.restrain(limited({ perUser: 1 }));
      await bench.broker.enqueue(mixed());
      await bench.claim("w", 9);
      expect(await bench.claim("w", 9)).toEqual([]);
      await bench.broker.restrain(FREE);
      expect(await bench.claim("w", 9)).toHaveLength(4);
    });
  });

  describe("rate", () => {
    test("attempts begin no faster, whoever claims; after a while without any, so many at once as the bucket holds", async () => {
      await using bench = await open();
      await bench.broker.restrain(limited({ rate: rateOf(2, 60_000, 3) }));
      await bench.broker.enqueue(several(9));
      expect(await bench.claim("w", 9)).toHaveLength(3);
      expect(await bench.claim("v", 9)).toEqual([]);
      await bench.clock.advance(29_999);
      expect(await bench.claim("v", 9)).toEqual([]);
      await bench.clock.advance(1);
      expect(await bench.claim("v", 9)).toHaveLength(1);
      await bench.clock.advance(3_600_000);
      expect(await bench.claim("w", 9)).toHaveLength(3);
      expect(await bench.claim("w", 9)).toEqual([]);
    });

    test("another task is not held up by it", async () => {
      await using bench = await open();
      await bench.broker.restrain(limited({ rate: rateOf(1, 60_000) }));
      await bench.broker.enqueue([...several(3), job({ name: "other" })]);
      expect(await bench.claim("w", 9)).toHaveLength(2);
    });

    test("who claimed in vain is called when there is more", async () => {
      await using bench = await open();
      await bench.broker.restrain(limited({ rate: rateOf(1, 20, 1) }));
      await bench.broker.enqueue(several(2));
      const told = work(bench);
      expect(await bench.claim("w", 9)).toHaveLength(1);
      await told;
      await bench.clock.advance(20);
      expect(await bench.claim("w", 9)).toHaveLength(1);
    });

    test("and no later for another claim in vain, of a task that has to wait for longer", async () => {
      await using bench = await open();
      const rates = { job: rateOf(1, 50, 1), other: rateOf(1, 3_600_000, 1) };
      const limits = Object.entries(rates).map(([name, rate]) => ({ name, rate }));
      const jobs = [...several(2), ...several(2, { name: "other" })];
      // What is said of these is not taken for what is waited for.
      for (const step of [() => bench.broker.restrain({ ...FREE, limits }), () => bench.broker.enqueue(jobs)]) {
        const heard = work(bench);
        await step();
        await heard;
      }
      const told = work(bench);
      expect(await bench.claim("w", 9)).toHaveLength(2);
      expect(await bench.claim("v", 9, { tasks: ["other"] })).toEqual([]);
      await told;
    });
  });

  describe("pause", () => {
    test.each([
      ["task", { ...FREE, pausedTasks: ["job"] }],
      ["queue", { ...FREE, pausedQueues: ["default"] }],
    ] as const)("nothing of a paused %s is claimed until it is resumed; what runs goes on", async (_, paused) => {
      await using bench = await open();
      const [running, waiting] = several(2) as [Job, Job];
      await bench.broker.enqueue([running]);
      await bench.claim("w", 1);
      await bench.broker.restrain(paused);
      const free = job({ name: "other", queue: "free" });
      await bench.broker.enqueue([waiting, free]);
      expect(await bench.claim("w", 9)).toEqual([free]);
      expect(await end(bench, "w", [running])).toEqual(["taken"]);
      expect(await bench.broker.missing([waiting])).toEqual([]);
      const told = work(bench);
      await bench.broker.restrain(FREE);
      await told;
      expect(await bench.claim("w", 9)).toEqual([waiting]);
    });

    test("a paused task keeps its limit", async () => {
      await using bench = await open();
      await bench.broker.enqueue(several(4));
      await bench.broker.restrain({ ...limited({ concurrency: 1 }), pausedTasks: ["job"] });
      expect(await bench.claim("w", 9)).toEqual([]);
      await bench.broker.restrain(limited({ concurrency: 1 }));
      expect(await bench.claim("w", 9)).toHaveLength(1);
    });
  });

  describe("what limits keep back", () => {
    const USE: LimitUse = { name: "job", running: 0, byOwner: new Map(), tokenInMs: 0, countedInMs: 0 };

    test("is told of tasks with limits only", async () => {
      await using bench = await open();
      expect(await useOf(bench)).toBeUndefined();
      await bench.broker.restrain({ ...FREE, pausedTasks: ["job"], pausedQueues: ["default"] });
      expect(await useOf(bench)).toBeUndefined();
      await bench.broker.restrain(limited({ concurrency: 3 }));
      expect(await useOf(bench)).toEqual(USE);
    });

    test("is what is in workers' hands, of all and of each owner, as it changes", async () => {
      await using bench = await open();
      await bench.broker.restrain(limited({ concurrency: 3, perUser: 2 }));
      await bench.broker.enqueue([...several(3), ...several(2, { owner: "b" }), job({ name: "other" })]);
      const jobs = await bench.claim("w", 9);
      const byOwner = new Map(
        ["anna", "b"].map((owner) => [owner, jobs.filter((each) => each.owner === owner && each.name === "job").length]),
      );
      expect(await useOf(bench)).toEqual({ ...USE, running: 3, byOwner });
      expect(await useOf(bench, "b")).toEqual({ ...USE, running: 3, byOwner: new Map([["b", byOwner.get("b") as number]]) });
      expect(await useOf(bench, "nobody")).toEqual({ ...USE, running: 3 });
      await end(bench, "w", jobs);
      expect(await useOf(bench)).toEqual(USE);
      await bench.broker.restrain(FREE);
      expect(await useOf(bench)).toBeUndefined();
    });

    test("of a rate is how long until another one may begin, and asking takes no token", async () => {
      await using bench = await open();
      await bench.broker.restrain(limited({ rate: rateOf(2, 60_000, 2) }));
      await bench.broker.enqueue(several(4));
      expect(await useOf(bench)).toEqual(USE);
      await bench.claim("w", 1);
      expect(await useOf(bench)).toMatchObject({ tokenInMs: 0 });
      await bench.claim("w", 1);
      expect(await useOf(bench)).toMatchObject({ tokenInMs: 30_000 });
      await bench.clock.advance(29_000);
      expect(await useOf(bench)).toMatchObject({ tokenInMs: 1_000 });
      await bench.clock.advance(1_000);
      expect(await useOf(bench)).toMatchObject({ tokenInMs: 0 });
      expect(await bench.claim("w", 9)).toHaveLength(1);
    });
  });
}
