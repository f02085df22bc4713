import { describe, expect, test } from "bun:test";
import { type Job, type JobRef, LEASE_MS, type Outcome } from "../../src/ports/broker.ts";
import { type Bench, ids, job, several, some } from "./bench.ts";

const refs = (of: readonly JobRef[]): JobRef[] => of.map(({ id, fence }) => ({ id, fence }));

export function leaseContract(open: () => Promise<Bench>): void {
  describe("settle", () => {
    test("an outcome becomes an event, with everything that it says", async () => {
      await using bench = await open();
      const [a, b, c, d] = some();
      await bench.broker.enqueue([a, b, c, d]);
      await bench.claim("w", 4);
      const ref = ({ id, fence }: JobRef) => ({ id, fence, at: 7 });
      const outcomes: Outcome[] = [
        { kind: "done", ...ref(a), result: '{"x":[1,null]}', log: [{ at: 3, level: "warn", message: "careful" }] },
        { kind: "failed", ...ref(b), error: { code: "no_luck", message: "ä" }, retryInMs: 250 },
        { kind: "failed", ...ref(c), error: { code: "error", message: "" }, retryInMs: null },
        { kind: "suspected", ...ref(d) },
      ];
      expect(await bench.broker.settle("w", outcomes)).toEqual(["taken", "taken", "taken", "taken"]);
      const events = (await bench.recordAll()).filter((event) => event.kind !== "started");
      expect(events).toEqual(outcomes);
    });

    test("invariant 2: without the lease an outcome is refused and becomes no event", async () => {
      await using bench = await open();
      const [held, queued] = [job({ fence: 3 }), job({ name: "other" })];
      await bench.broker.enqueue([held, queued]);
      await bench.claim("w", 1, { tasks: ["job"] });
      const refused = [
        await bench.broker.settle("somebody", [bench.done(held)]),
        await bench.broker.settle("w", [bench.done({ ...held, fence: 2 }), bench.done({ ...held, fence: 4 })]),
        await bench.broker.settle("w", [bench.done(queued)]),
        await bench.broker.settle("w", [bench.done({ id: "nobody", fence: 1 })]),
      ];
      expect(refused.flat()).toEqual(Array(5).fill("lease lost"));
      expect((await bench.recordAll()).map(({ kind }) => kind)).toEqual(["started"]);
      // Nor did any of it take the lease away.
      expect(await bench.broker.settle("w", [bench.done(held)])).toEqual(["taken"]);
    });

    test("a job ends once, also within one call", async () => {
      await using bench = await open();
      const [one, two] = some();
      await bench.broker.enqueue([one, two]);
      await bench.claim("w", 2);
      expect(await bench.broker.settle("w", [bench.done(one), bench.done(one)])).toEqual(["taken", "lease lost"]);
      await bench.broker.settle("w", [bench.done(two)]);
      expect(await bench.broker.settle("w", [bench.done(two), bench.done(one)])).toEqual(["lease lost", "lease lost"]);
      expect(await bench.kindsOf(one.id)).toEqual(["started", "done"]);
      expect(await bench.broker.settle("w", [bench.done(one)])).toEqual(["lease lost"]);
      expect(await bench.kindsOf(two.id)).toEqual(["started", "done"]);
    });

    test("one that is refused does not spoil its neighbours", async () => {
      await using bench = await open();
      const [a, b, c] = some();
      await bench.broker.enqueue([a, b, c]);
      await bench.claim("w", 3);
      expect(await bench.broker.settle("w", [bench.done(a), bench.done({ ...b, fence: 9 }), bench.done(c)])).toEqual([
        "taken",
        "lease lost",
        "taken",
      ]);
    });
  });

  describe("cancel", () => {
    test("a queued job is taken out, without an event; unknown ids are ignored", async () => {
      await using bench = await open();
      const [a, b, c] = some();
      await bench.broker.enqueue([a, b, c]);
      await bench.broker.cancel([b.id, "nobody"]);
      expect(ids(await bench.claim("w", 9))).toEqual([a.id, c.id]);
      expect(await bench.kindsOf(b.id)).toEqual([]);
      expect(await bench.broker.missing([b])).toHaveLength(1);
    });

    test("a cancelled job can be enqueued again under its next fence", async () => {
      await using bench = await open();
      const one = job();
      await bench.broker.enqueue([one]);
      await bench.broker.cancel([one.id]);
      await bench.broker.enqueue([{ ...one, fence: 2 }]);
      expect(await bench.claim("w", 9)).toEqual([{ ...one, fence: 2 }]);
    });

    test("the holder of a running one is told at once, and by each heartbeat until it has settled", async () => {
      await using bench = await open();
      const [one, other] = some();
      await bench.broker.enqueue([one, other]);
      await bench.claim("w", 2);
      const told = Promise.withResolvers<readonly string[]>();
      bench.broker.onCancel((cancelled) => told.resolve(cancelled));
      expect((await bench.broker.heartbeat("w", [one, other])).cancelled).toEqual([]);
      await bench.broker.cancel([one.id]);
      expect(await told.promise).toEqual([one.id]);
      for (let i = 0; i < 2; i += 1) {
        expect(await bench.broker.heartbeat("w", [one, other])).toEqual({ cancelled: [one.id], lost: [] });
      }
      expect(await bench.broker.settle("w", [{ kind: "cancelled", id: one.id, fence: 1, at: 1 }])).toEqual(["taken"]);
      expect(await bench.kindsOf(one.id)).toEqual(["started", "cancelled"]);
      await bench.broker.cancel([one.id]);
      expect((await bench.broker.heartbeat("w", [other])).cancelled).toEqual([]);
    });

    test("a cancel while a claim is under way is not forgotten", async () => {
      await using bench = await open();
      const one = job();
      await bench.broker.enqueue([one]);
      await bench.hold();
      const claim = bench.claim("w", 1);
      await bench.broker.cancel([one.id]);
      bench.resume();
      const [got] = await claim;
      // Either the claim no longer hands it out, or its holder hears of it.
      if (got) expect((await bench.broker.heartbeat("w", [got])).cancelled).toEqual([one.id]);
      else expect((await bench.kindsOf(one.id)).at(-1)).not.toBe("started");
    });
  });

  describe("leases", () => {
    test("invariant 5: a silent worker loses its jobs after the lease, one lost event each, and not before", async () => {
      await using bench = await open();
      const jobs = several(3);
      await bench.broker.enqueue(jobs);
      await bench.claim("w", 3);
      await bench.clock.advance(LEASE_MS);
      expect(await bench.broker.reap()).toBe(0);
      await bench.clock.advance(1);
      expect(await bench.broker.reap()).toBe(3);
      expect(await bench.broker.reap()).toBe(0);
      const lost = (await bench.recordAll()).filter(({ kind }) => kind === "lost");
      expect(ids(lost).sort()).toEqual(ids(jobs).sort());
      expect(lost[0]).toMatchObject({ fence: 1, at: bench.clock.now() });
    });

    test("a heartbeat renews the leases of its worker, and of nobody else", async () => {
      await using bench = await open();
      await bench.broker.enqueue(several(2));
      const [mine] = (await bench.claim("w", 1)) as [Job];
      const [others] = (await bench.claim("v", 1)) as [Job];
      await bench.clock.advance(LEASE_MS);
      expect(await bench.broker.heartbeat("w", [mine])).toEqual({ cancelled: [], lost: [] });
      await bench.clock.advance(1);
      expect(await bench.broker.reap()).toBe(1);
      expect(await bench.kindsOf(others.id)).toEqual(["started", "lost"]);
      expect(await bench.broker.settle("w", [bench.done(mine)])).toEqual(["taken"]);
    });

    test("a claim is a sign of life: no lease is shorter than the others", async () => {
      await using bench = await open();
      await bench.broker.enqueue(several(2));
      await bench.claim("w", 1);
      await bench.clock.advance(LEASE_MS);
      await bench.claim("w", 1);
      await bench.clock.advance(1);
      expect(await bench.broker.reap()).toBe(0);
    });

    test("after the lease is gone an outcome is refused, and the heartbeat names what is lost", async () => {
      await using bench = await open();
      const one = job();
      await bench.broker.enqueue([one]);
      await bench.claim("w", 1);
      await bench.clock.advance(LEASE_MS + 1);
      await bench.broker.reap();
      expect(refs((await bench.broker.heartbeat("w", [one])).lost)).toEqual([{ id: one.id, fence: 1 }]);
      expect(await bench.broker.settle("w", [bench.done(one)])).toEqual(["lease lost"]);
      expect(await bench.kindsOf(one.id)).toEqual(["started", "lost"]);
    });

    test("who holds a dispatch that is lost beside a later one of the same task is told of the former alone", async () => {
      await using bench = await open();
      const one = job();
      await bench.broker.enqueue([one]);
      await bench.claim("w", 1);
      await bench.clock.advance(LEASE_MS + 1);
      await bench.broker.reap();
      const again = { ...one, fence: 2 };
      await bench.broker.enqueue([again]);
      await bench.claim("w", 1);
      expect(refs((await bench.broker.heartbeat("w", [one, again])).lost)).toEqual([{ id: one.id, fence: 1 }]);
    });

    test("a lost job, dispatched again, is another one's; the first holder cannot end it", async () => {
      await using bench = await open();
      const one = job();
      await bench.broker.enqueue([one]);
      await bench.claim("w", 1);
      await bench.clock.advance(LEASE_MS + 1);
      await bench.broker.reap();
      await bench.recordAll();
      await bench.broker.enqueue([{ ...one, fence: 2 }]);
      expect((await bench.claim("v", 1))[0]?.fence).toBe(2);
      expect(await bench.broker.settle("w", [bench.done(one), bench.done({ ...one, fence: 2 })])).toEqual([
        "lease lost",
        "lease lost",
      ]);
      expect(await bench.broker.settle("v", [bench.done({ ...one, fence: 2 })])).toEqual(["taken"]);
    });

    test("a worker that lost its jobs can claim again", async () => {
      await using bench = await open();
      await bench.broker.enqueue(several(2));
      await bench.claim("w", 1);
      await bench.clock.advance(LEASE_MS + 1);
      await bench.broker.reap();
      const [next] = (await bench.claim("w", 1)) as [Job];
      expect(await bench.broker.reap()).toBe(0);
      expect(await bench.broker.settle("w", [bench.done(next)])).toEqual(["taken"]);
    });

    test("a heartbeat names what was never this worker's as lost", async () => {
      await using bench = await open();
      const one = job();
      await bench.broker.enqueue([one]);
      await bench.claim("w", 1);
      expect(refs((await bench.broker.heartbeat("v", [one])).lost)).toEqual([{ id: one.id, fence: 1 }]);
      expect(refs((await bench.broker.heartbeat("w", [{ id: one.id, fence: 2 }])).lost)).toEqual([{ id: one.id, fence: 2 }]);
      expect((await bench.broker.heartbeat("w", [one])).lost).toEqual([]);
    });
  });

  describe("missing", () => {
    test("is what is neither queued, nor leased, nor settled and unrecorded", async () => {
      await using bench = await open();
      const [queued, leased, settled, cancelled] = some();
      const unknown = { id: "nobody", fence: 1 };
      const all = [queued, leased, settled, cancelled, unknown];
      expect(ids(await bench.broker.missing(all))).toEqual(ids(all));
      await bench.broker.enqueue([leased, settled]);
      await bench.claim("w", 2);
      await bench.broker.enqueue([queued, cancelled]);
      await bench.broker.cancel([cancelled.id]);
      await bench.hold();
      await bench.broker.settle("w", [bench.done(settled)]);
      expect(ids(await bench.broker.missing(all))).toEqual(ids([cancelled, unknown]));
      bench.resume();
      await bench.recordAll();
      expect(ids(await bench.broker.missing(all))).toEqual(ids([settled, cancelled, unknown]));
      expect(await bench.broker.missing([])).toEqual([]);
    });

    test("names a later dispatch than the one that the broker holds", async () => {
      await using bench = await open();
      const one = job();
      await bench.broker.enqueue([one]);
      const later = { id: one.id, fence: 2 };
      expect(await bench.broker.missing([later])).toEqual([later]);
    });
  });
}
