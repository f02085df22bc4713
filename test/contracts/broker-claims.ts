import { describe, expect, test } from "bun:test";
import type { Job } from "../../src/ports/broker.ts";
import { type Bench, ids, job, several } from "./bench.ts";

export function claimContract(open: () => Promise<Bench>): void {
  describe("order", () => {
    test("a lane is first in, first out, however it is enqueued and claimed", async () => {
      await using bench = await open();
      const jobs = several(50);
      await bench.broker.enqueue(jobs.slice(0, 20));
      await bench.broker.enqueue(jobs.slice(20));
      const got = [...(await bench.claim("w", 7)), ...(await bench.claim("w", 1)), ...(await bench.claim("w", 100))];
      expect(ids(got)).toEqual(ids(jobs));
    });

    test("a claimed job is the job that was enqueued", async () => {
      await using bench = await open();
      const sent = job({ fence: 7, attempt: 2, maxAttempts: 5, priority: "high", queue: "q", args: '{"text":"ä\\n\\"\\u2028"}' });
      await bench.broker.enqueue([sent]);
      expect(await bench.claim("w", 1)).toEqual([sent]);
    });

    test("a claim takes at most what it asks for, and nothing where there is nothing", async () => {
      await using bench = await open();
      expect(await bench.claim("w", 5)).toEqual([]);
      await bench.broker.enqueue(several(3));
      expect(await bench.claim("w", 2)).toHaveLength(2);
      expect(await bench.claim("w", 2)).toHaveLength(1);
      expect(await bench.claim("w", 2)).toEqual([]);
    });

    test("invariant 9: owners take turns: one job behind 100 of another's is served within two", async () => {
      await using bench = await open();
      await bench.broker.enqueue(several(100, { owner: "anna" }));
      await bench.broker.enqueue([job({ owner: "ben" })]);
      const turns: (string | undefined)[] = [];
      for (let i = 0; i < 3; i += 1) turns.push((await bench.claim("w", 1))[0]?.owner);
      expect(turns.slice(0, 2)).toContain("ben");
    });

    test("owners take turns within one claim too, and each one's own jobs keep their order", async () => {
      await using bench = await open();
      const anna = several(6, { owner: "anna" });
      const ben = several(3, { owner: "ben" });
      await bench.broker.enqueue([...anna, ...ben]);
      const got = await bench.claim("w", 9);
      expect(got.slice(0, 6).filter(({ owner }) => owner === "ben")).toHaveLength(3);
      expect(ids(got.filter(({ owner }) => owner === "anna"))).toEqual(ids(anna));
      expect(ids(got.filter(({ owner }) => owner === "ben"))).toEqual(ids(ben));
    });

    test("an owner who comes back stands at the end of the line", async () => {
      await using bench = await open();
      await bench.broker.enqueue([...several(2, { owner: "anna" }), ...several(9, { owner: "ben" })]);
      await bench.claim("w", 4);
      await bench.broker.enqueue([job({ owner: "carla" }), job({ owner: "anna" })]);
      const owners = (await bench.claim("w", 3)).map(({ owner }) => owner).sort();
      expect(owners).toEqual(["anna", "ben", "carla"]);
    });

    test("tasks take turns: a flood of one does not hold up the other", async () => {
      await using bench = await open();
      await bench.broker.enqueue([...several(100), job({ name: "other" })]);
      expect((await bench.claim("w", 3)).map(({ name }) => name)).toContain("other");
    });

    test("higher priorities come first more often, and none starves", async () => {
      await using bench = await open();
      for (const priority of ["low", "normal", "high"] as const) await bench.broker.enqueue(several(100, { priority }));
      const first = await bench.claim("w", 30);
      const count = (priority: Job["priority"]) => first.filter((each) => each.priority === priority).length;
      expect(count("high")).toBeGreaterThan(count("normal"));
      expect(count("normal")).toBeGreaterThan(count("low"));
      expect(count("low")).toBeGreaterThan(0);
    });

    test("urgent work comes before what was there first", async () => {
      await using bench = await open();
      await bench.broker.enqueue([...several(20, { priority: "low" }), ...several(2, { priority: "high" })]);
      expect((await bench.claim("w", 4)).filter(({ priority }) => priority === "high")).toHaveLength(2);
    });

    test("a priority alone gets every turn", async () => {
      await using bench = await open();
      await bench.broker.enqueue(several(20, { priority: "low" }));
      expect(await bench.claim("w", 20)).toHaveLength(20);
    });
  });

  describe("who gets what", () => {
    test("a worker gets only tasks and queues that it serves; the rest stays for others", async () => {
      await using bench = await open();
      const [here, elsewhere, unknown] = [job(), job({ queue: "gpu" }), job({ name: "not-here" })];
      await bench.broker.enqueue([unknown, elsewhere, here]);
      expect(ids(await bench.claim("w", 9, { queues: ["default"] }))).toEqual([here.id]);
      expect(ids(await bench.claim("w", 9, { tasks: [] }))).toEqual([]);
      expect(ids(await bench.claim("w", 9, { queues: [] }))).toEqual([]);
      expect(ids(await bench.claim("v", 9, { queues: ["gpu", "default"] }))).toEqual([elsewhere.id]);
      expect(ids(await bench.claim("v", 9, { tasks: ["not-here"] }))).toEqual([unknown.id]);
    });

    test("suspects go only to claims for them, and nothing else does", async () => {
      await using bench = await open();
      const [shared, suspect] = [job(), job({ alone: true })];
      await bench.broker.enqueue([suspect, shared]);
      expect(ids(await bench.claim("w", 9))).toEqual([shared.id]);
      expect(ids(await bench.claim("w", 9, { alone: true, tasks: ["other"] }))).toEqual([]);
      expect(ids(await bench.claim("w", 9, { alone: true }))).toEqual([suspect.id]);
    });

    test("invariant 4: claimers at the same time never get the same job, and each job's started event is there", async () => {
      await using bench = await open();
      const jobs = several(60);
      await bench.broker.enqueue(jobs);
      const claims = await Promise.all(Array.from({ length: 12 }, (_, i) => bench.claim(`w${i}`, 5)));
      expect(ids(claims.flat()).sort()).toEqual(ids(jobs).sort());
      const started = (await bench.recordAll()).filter((event) => event.kind === "started");
      expect(ids(started).sort()).toEqual(ids(jobs).sort());
      for (const [i, claimed] of claims.entries()) {
        for (const { id } of claimed)
          expect(started.find((event) => event.id === id)).toMatchObject({ worker: `w${i}`, fence: 1, at: bench.clock.now() });
      }
    });
  });

  describe("enqueue", () => {
    test("a job known at this fence or a later one is left as it is, whatever has become of it", async () => {
      await using bench = await open();
      const one = job({ fence: 2 });
      await bench.broker.enqueue([one]);
      await bench.broker.enqueue([one, { ...one, fence: 1 }]);
      expect(ids(await bench.claim("w", 9))).toEqual([one.id]);
      await bench.broker.enqueue([one, { ...one, fence: 1 }]);
      expect(await bench.claim("w", 9)).toEqual([]);
      await bench.hold();
      expect(await bench.broker.settle("w", [bench.done(one)])).toEqual(["taken"]);
      await bench.broker.enqueue([one]);
      bench.resume();
      await bench.recordAll();
      expect(await bench.claim("w", 9)).toEqual([]);
    });

    test("a later fence takes the place of an earlier one that is queued", async () => {
      await using bench = await open();
      const one = job();
      const other = job();
      await bench.broker.enqueue([one, other, { ...one, fence: 2 }]);
      expect(await bench.claim("w", 9)).toEqual([other, { ...one, fence: 2 }]);
    });

    test("a later fence takes the lease of an earlier one away", async () => {
      await using bench = await open();
      const one = job();
      await bench.broker.enqueue([one]);
      await bench.claim("w", 1);
      await bench.broker.enqueue([{ ...one, fence: 2 }]);
      expect(await bench.broker.settle("w", [bench.done(one)])).toEqual(["lease lost"]);
      expect(ids((await bench.broker.heartbeat("w", [one])).lost)).toEqual([one.id]);
      const again = await bench.claim("v", 1);
      expect(again).toEqual([{ ...one, fence: 2 }]);
      expect(
        await bench.broker.settle(
          "v",
          again.map((each) => bench.done(each)),
        ),
      ).toEqual(["taken"]);
    });

    test("a later fence may come before the end of the earlier one is recorded", async () => {
      await using bench = await open();
      const one = job();
      await bench.broker.enqueue([one]);
      await bench.claim("w", 1);
      await bench.hold();
      await bench.broker.settle("w", [{ kind: "released", id: one.id, fence: 1, at: 0 }]);
      await bench.broker.enqueue([{ ...one, fence: 2 }]);
      bench.resume();
      await bench.recordAll();
      expect(await bench.broker.missing([{ id: one.id, fence: 2 }])).toEqual([]);
      expect((await bench.claim("w", 1))[0]?.fence).toBe(2);
    });

    test("a job that was given back runs again under its next fence", async () => {
      await using bench = await open();
      const one = job();
      await bench.broker.enqueue([one]);
      await bench.claim("w", 1);
      expect(await bench.broker.settle("w", [{ kind: "released", id: one.id, fence: 1, at: 5 }])).toEqual(["taken"]);
      expect(await bench.recordAll()).toContainEqual({ kind: "released", id: one.id, fence: 1, at: 5 });
      expect(await bench.next("w")).toBeUndefined();
      await bench.broker.enqueue([{ ...one, fence: 2 }]);
      expect(await bench.next("w")).toBe(one.id);
    });

    test("work wakes its listeners without anybody asking, until they unsubscribe", async () => {
      await using bench = await open();
      let calls = 0;
      let woken = Promise.withResolvers<void>();
      const unsubscribe = bench.broker.onWork(() => {
        calls += 1;
        woken.resolve();
      });
      await bench.broker.enqueue([job()]);
      await woken.promise;
      woken = Promise.withResolvers();
      await bench.broker.enqueue([job({ alone: true })]);
      await woken.promise;
      unsubscribe();
      const before = calls;
      const other = Promise.withResolvers<void>();
      bench.broker.onWork(() => other.resolve());
      await bench.broker.enqueue([job()]);
      await other.promise;
      expect(calls).toBe(before);
    });
  });
}
