import { describe, expect, test } from "bun:test";
import type { BrokerEvent, Job, Offset, ProgressReport } from "../../src/ports/broker.ts";
import { type Bench, ids, job, several } from "./bench.ts";

const line = (message: string) => ({ at: 1, level: "info" as const, message });

export function eventContract(open: () => Promise<Bench>): void {
  /** A bench whose events nobody records, with `count` log events. */
  const withEvents = async (count: number): Promise<Bench> => {
    const bench = await open();
    await bench.hold();
    for (let i = 0; i < count; i += 1) await bench.broker.log([{ id: `log-${i}`, fence: 1, log: [line(`line ${i}`)] }]);
    return bench;
  };
  const readAll = async (
    bench: Bench,
    from: Offset | null,
    pageSize: number,
  ): Promise<{ events: BrokerEvent[]; offset: Offset | null; pages: number }> => {
    const events: BrokerEvent[] = [];
    let offset = from;
    for (let pages = 1; ; pages += 1) {
      const page = await bench.broker.events(offset, pageSize, true);
      expect(page.events.length).toBeLessThanOrEqual(pageSize);
      events.push(...page.events);
      offset = page.offset;
      if (!page.more) return { events, offset, pages };
    }
  };

  /** The next `count` events, or as many as there are: a page may end early, and says so. */
  const read = async (bench: Bench, from: Offset | null, count: number): Promise<{ events: BrokerEvent[]; offset: Offset }> => {
    const events: BrokerEvent[] = [];
    for (let offset = from; ; ) {
      const page = await bench.broker.events(offset, count - events.length, true);
      events.push(...page.events);
      offset = page.offset;
      if (!page.more || events.length === count) return { events, offset };
    }
  };

  describe("events", () => {
    test("are read in pages, each behind the last, in the order in which they came", async () => {
      await using bench = await withEvents(25);
      const { events, pages } = await readAll(bench, null, 10);
      expect(ids(events)).toEqual(Array.from({ length: 25 }, (_, i) => `log-${i}`));
      expect(pages).toBeGreaterThanOrEqual(3);
    });

    test("an empty stream has an offset that reads on from there", async () => {
      await using bench = await withEvents(0);
      const empty = await bench.broker.events(null, 10);
      expect([empty.events, empty.more]).toEqual([[], false]);
      await bench.broker.log([{ id: "a", fence: 1, log: [line("x")] }]);
      expect(ids((await bench.broker.events(empty.offset, 10)).events)).toEqual(["a"]);
    });

    test("where nothing was read, the offset is where the reading began", async () => {
      await using bench = await withEvents(3);
      const { offset } = await readAll(bench, null, 10);
      const again = await bench.broker.events(offset, 10);
      expect([again.events, again.more, again.offset]).toEqual([[], false, offset as Offset]);
    });

    test("unacknowledged ones can be read again, from the same offset or from the beginning", async () => {
      await using bench = await withEvents(5);
      const first = await read(bench, null, 2);
      expect(ids((await read(bench, null, 2)).events)).toEqual(ids(first.events));
      const rest = await read(bench, first.offset, 9);
      expect(ids((await read(bench, first.offset, 9)).events)).toEqual(ids(rest.events));
    });

    test("an acknowledgement lets them go up to its offset, and twice is as once", async () => {
      await using bench = await withEvents(5);
      const first = await read(bench, null, 2);
      for (let i = 0; i < 2; i += 1) {
        await bench.broker.acknowledge(first.offset);
        expect(ids((await read(bench, first.offset, 9)).events)).toEqual(["log-2", "log-3", "log-4"]);
      }
      const { offset } = await readAll(bench, first.offset, 9);
      await bench.broker.acknowledge(offset as Offset);
      await bench.broker.acknowledge(first.offset);
      expect((await read(bench, offset, 9)).events).toEqual([]);
      await bench.broker.log([{ id: "later", fence: 1, log: [line("x")] }]);
      expect(ids((await read(bench, offset, 9)).events)).toEqual(["later"]);
    });

    test("invariant 3: an offset of another epoch reads from the beginning, and acknowledges nothing", async () => {
      await using bench = await withEvents(4);
      const { offset } = await readAll(bench, null, 9);
      const foreign = { ...(offset as Offset), epoch: "another life" };
      await bench.broker.acknowledge(foreign);
      const page = await read(bench, foreign, 9);
      expect(ids(page.events)).toEqual(["log-0", "log-1", "log-2", "log-3"]);
      expect(page.offset).toEqual(offset as Offset);
    });

    test("listeners hear of new ones, until they unsubscribe", async () => {
      await using bench = await withEvents(0);
      const heard = Promise.withResolvers<void>();
      let calls = 0;
      const unsubscribe = bench.broker.onEvents(() => {
        calls += 1;
        heard.resolve();
      });
      await bench.broker.log([{ id: "a", fence: 1, log: [line("x")] }]);
      await heard.promise;
      unsubscribe();
      const before = calls;
      bench.resume();
      await bench.recordAll();
      expect(calls).toBe(before);
    });

    test("settled jobs go with their acknowledgement, not before", async () => {
      await using bench = await open();
      const one = job();
      await bench.broker.enqueue([one]);
      await bench.claim("w", 1);
      await bench.hold();
      await bench.broker.settle("w", [bench.done(one)]);
      const { offset } = await readAll(bench, bench.offset, 9);
      expect(await bench.broker.missing([one])).toEqual([]);
      await bench.broker.acknowledge(offset as Offset);
      expect(await bench.broker.missing([one])).toHaveLength(1);
    });

    test("log lines come through whole", async () => {
      await using bench = await open();
      const log = [line("one"), { at: 2, level: "error" as const, message: 'ä "\n' }];
      await bench.broker.log([
        { id: "a", fence: 3, log },
        { id: "b", fence: 1, log: [line("two")] },
      ]);
      await bench.until(() => bench.seen.length === 2);
      expect(bench.seen).toEqual([
        { kind: "log", id: "a", fence: 3, log },
        { kind: "log", id: "b", fence: 1, log: [line("two")] },
      ]);
    });

    test("invariant 3: too many unrecorded ones stop claims instead of being lost, and claims go on after", async () => {
      await using bench = await open();
      const one = job();
      await bench.broker.enqueue([one]);
      await bench.hold();
      const batch = (from: number, size: number) =>
        Array.from({ length: size }, (_, i) => ({ id: `log-${from + i}`, fence: 1, log: [line("")] }));
      for (let count = 0; count < bench.maxUnrecorded; count += 1_000) {
        await bench.broker.log(batch(count, Math.min(1_000, bench.maxUnrecorded - count)));
      }
      expect(await bench.claim("w", 1)).toEqual([]);
      const claimed = Promise.withResolvers<readonly Job[]>();
      const unsubscribe = bench.broker.onWork(() => {
        void bench.claim("w", 1).then((jobs) => {
          if (jobs.length > 0) claimed.resolve(jobs);
        });
      });
      bench.resume();
      expect(ids(await claimed.promise)).toEqual([one.id]);
      unsubscribe();
      expect((await bench.recordAll()).filter(({ kind }) => kind === "log")).toHaveLength(bench.maxUnrecorded);
    });
  });

  describe("progress", () => {
    test("reaches every listener, and is no event", async () => {
      await using bench = await open();
      const one = job();
      await bench.broker.enqueue([one]);
      await bench.claim("w", 1);
      const reports: ProgressReport[] = [{ id: one.id, fence: 1, progress: 0.25, message: "a quarter", at: 4 }];
      const heard = [Promise.withResolvers<readonly ProgressReport[]>(), Promise.withResolvers<readonly ProgressReport[]>()];
      for (const each of heard) bench.broker.onProgress((got) => each.resolve(got));
      // Where it takes a while until a subscription stands, the first reports may be missed: they are repeated until heard.
      const all = Promise.all(heard.map((each) => each.promise));
      let done = false;
      void all.then(() => {
        done = true;
      });
      for (let i = 0; i < 1_000 && !done; i += 1) {
        bench.broker.report(reports);
        await Promise.race([all, new Promise((resolve) => setImmediate(resolve))]);
      }
      expect(await all).toEqual([reports, reports]);
      expect(await bench.kindsOf(one.id)).toEqual(["started"]);
    });

    test("is not told to who has unsubscribed", async () => {
      await using bench = await open();
      let calls = 0;
      bench.broker.onProgress(() => (calls += 1))();
      const other = Promise.withResolvers<void>();
      bench.broker.onProgress(() => other.resolve());
      for (let i = 0; i < 1_000; i += 1) {
        bench.broker.report([{ id: "a", fence: 1, progress: null, message: null, at: 0 }]);
        const turn = new Promise<"turn">((resolve) => setImmediate(resolve, "turn"));
        if ((await Promise.race([other.promise.then(() => "heard"), turn])) === "heard") break;
      }
      await other.promise;
      expect(calls).toBe(0);
    });
  });

  test("it says that it is ready, and stopping twice is as once", async () => {
    const bench = await open();
    expect(bench.broker.trouble()).toBeUndefined();
    await bench.broker.enqueue(several(2));
    await bench.broker.stop();
    await bench[Symbol.asyncDispose]();
  });
}
