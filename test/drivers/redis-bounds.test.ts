import { describe, expect, test } from "bun:test";
import { lineOf } from "../../src/drivers/redis/keys.ts";
import { type Job, LEASE_MS } from "../../src/ports/broker.ts";
import { ids, job, several } from "../contracts/bench.ts";
import { ManualClock } from "../support/manual-runtime.ts";
import { redisPath, sharedRedis } from "../support/redis-server.ts";
import { done, Parties } from "./redis-parties.ts";

const server = await sharedRedis();
let namespaces = 0;

/** Parties in a namespace of their own. */
async function open(clock?: ManualClock): Promise<Parties> {
  namespaces += 1;
  return await Parties.open(server.url, { namespace: `bounds-${namespaces}`, ...(clock ? { clock } : {}) });
}

const keysOf = async ({ api }: Parties): Promise<string[]> => {
  const { prefix, owner } = api.link.keys;
  const keys = (await server.command("KEYS", `${owner.slice(0, -"owner".length)}*`)) as string[];
  return keys.map((key) => (key.startsWith(prefix) ? key.slice(prefix.length) : key.slice(key.indexOf(":") + 1))).sort();
};

const laneLength = async ({ api }: Parties, of: Job): Promise<number> =>
  Number(await server.command("LLEN", `${api.link.keys.prefix}lane:${lineOf(of)}|${of.owner}`));

/** How often scripts called commands of this name, and how many scripts ran, during some work. */
async function callsDuring(work: () => Promise<unknown>, command: string): Promise<{ calls: number; scripts: number }> {
  await server.command("CONFIG", "RESETSTAT");
  await work();
  const stats = String(await server.command("INFO", "commandstats"));
  const of = (name: string): number => Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
  return { calls: of(command), scripts: of("eval") + of("evalsha") };
}

describe.skipIf(redisPath === undefined)("a claim does bounded work, and finds what there is", () => {
  test("behind thousands of holes", async () => {
    await using parties = await open();
    const { api } = parties;
    const jobs = several(6_000);
    await parties.reader.hold();
    await api.enqueue(jobs);
    const gone = jobs.slice(0, 2_900);
    await api.cancel(ids(gone));
    let found: readonly Job[] = [];
    const { calls, scripts } = await callsDuring(async () => {
      found = await parties.claim(1);
    }, "lpop");
    expect(ids(found)).toEqual(ids(jobs.slice(2_900, 2_901)));
    expect(scripts).toBe(2);
    // Each of them gives up after 2,000 holes; the owner's turn and the line's are taken each time.
    expect(calls).toBeLessThan(3_000);
    expect(ids(await parties.claim(10))).toEqual(ids(jobs.slice(2_901, 2_911)));
  });

  test("behind hundreds of lines that the worker does not serve, in one step", async () => {
    await using parties = await open();
    const { api } = parties;
    await parties.reader.hold();
    const priorities = ["high", "normal", "low"] as const;
    const others = Array.from({ length: 900 }, (_, i) => job({ name: `other-${i}`, priority: priorities[i % 3] ?? "low" }));
    const mine = priorities.map((priority) => job({ priority }));
    await api.enqueue([...others, ...mine]);
    const found: string[] = [];
    const { calls, scripts } = await callsDuring(async () => {
      for (let i = 0; i < 4; i += 1) found.push(...ids(await parties.claim(1)));
    }, "zadd");
    expect(found.sort()).toEqual(ids(mine).sort());
    expect(scripts).toBe(4);
    // The lines that are not served keep their places.
    expect(calls).toBeLessThan(20);
    expect(ids(await parties.claim(9, [others[700]?.name ?? ""]))).toEqual([others[700]?.id ?? ""]);
  });

  test("behind more lines than it looks at: those that are not served make way", async () => {
    await using parties = await open();
    const { api } = parties;
    const others = Array.from({ length: 4_100 }, (_, i) => job({ name: `other-${i}` }));
    const mine = job();
    await api.enqueue([...others, mine]);
    const found: string[] = [];
    for (let i = 0; i < 3; i += 1) found.push(...ids(await parties.claim(1)));
    expect(found).toEqual([mine.id]);
  });
});

describe.skipIf(redisPath === undefined)("nothing grows for ever", () => {
  test("a lane has fewer holes than jobs, and none when the last is gone", async () => {
    await using parties = await open();
    const { api } = parties;
    const jobs = several(1_000);
    const [one] = jobs as [Job];
    await api.enqueue(jobs);
    for (let left = 1_000; left > 0; left -= 100) {
      await api.cancel(ids(jobs.slice(left - 100, left)));
      expect(await laneLength(parties, one)).toBeLessThanOrEqual(2 * (left - 100));
    }
    expect(await laneLength(parties, one)).toBe(0);
    // The same job again and again under its next fence.
    for (let fence = 2; fence < 50; fence += 1) await api.enqueue([{ ...one, fence }]);
    expect(await laneLength(parties, one)).toBeLessThanOrEqual(2);
    expect(await parties.claim(9)).toEqual([{ ...one, fence: 49 }]);
  });

  test("signals are cut to about a thousand", async () => {
    await using parties = await open();
    for (let i = 0; i < 1_500; i += 1) await parties.api.enqueue([job({ id: "one", fence: i + 1 })]);
    expect(Number(await server.command("XLEN", parties.api.link.keys.signals))).toBeLessThan(1_200);
  });

  test("of all that has ended nothing is left, however it has ended", async () => {
    const clock = new ManualClock();
    await using parties = await open(clock);
    const { api, node, thread, worker, reader } = parties;
    const claim = (by: string, max: number, tasks = ["job"], alone = false) => thread.claim({ worker: by, max, tasks, alone });
    await parties.pass();
    const kinds = [{}, { owner: "ben" }, { priority: "high" as const }, { queue: "gpu" }, { name: "other" }];
    await api.enqueue(kinds.flatMap((of) => several(6, of)));
    await api.enqueue(several(3, { alone: true }));

    // Settled, cancelled while it ran, given back.
    const [first, second, third, ...more] = (await claim(worker, 9)) as [Job, Job, Job, ...Job[]];
    const info = { host: "h", pid: 1, version: "1", threads: 1, slots: 1, tasks: ["job"], startedAt: 0 };
    await node.heartbeat(worker, [first, second, third, ...more], info);
    await api.cancel([first.id]);
    await thread.settle(worker, [
      { kind: "cancelled", id: first.id, fence: 1, at: 1 },
      { kind: "released", id: second.id, fence: 1, at: 1 },
      { kind: "failed", id: third.id, fence: 1, at: 1, error: { code: "x", message: "x" }, retryInMs: 5 },
      ...more.map(done),
    ]);
    await api.enqueue([{ ...second, fence: 2 }]);
    // Dispatched again while it ran, or before its end was recorded; suspects.
    const [again, ended] = (await claim(worker, 2)) as [Job, Job];
    await api.enqueue([{ ...again, fence: again.fence + 1 }]);
    await thread.settle(worker, [done(ended), done(again)]);
    const suspects = await claim(worker, 9, ["job"], true);
    await thread.settle(worker, suspects.map(done));
    // Workers that fall silent, and that leave with jobs in their hands.
    await claim("silent", 3);
    await node.heartbeat("silent", [], info);
    await claim("leaves", 3);
    await node.heartbeat("leaves", [], info);
    await node.leave("leaves");
    clock.advance(LEASE_MS + 1);
    await node.heartbeat(worker, [], info);
    expect(await api.reap()).toBe(3);
    // Cancelled before it ran; the rest is done.
    for (let got = await claim(worker, 3, ["job", "other"]); got.length > 0; got = await claim(worker, 3, ["job", "other"])) {
      await api.cancel([got[0]?.id ?? ""]);
      await thread.settle(worker, got.map(done));
    }
    const cancelled = several(20, { owner: "carl" });
    await api.enqueue(cancelled);
    await api.cancel(ids(cancelled));
    await node.leave(worker);
    await node.leave(`${worker}-passing`);
    await reader.recordAll();
    expect(await keysOf(parties)).toEqual(["events", "meta", "owner", "signals"]);
    expect(await server.command("XLEN", api.link.keys.events)).toBe(0);
    expect(((await server.command("HKEYS", api.link.keys.meta)) as string[]).sort()).toEqual([
      "epoch",
      "line_turn",
      "run_id",
      "turn",
    ]);
  });

  test("also after the data was lost in the middle", async () => {
    await using parties = await open();
    const { api, node, thread, worker, reader } = parties;
    const jobs = several(12);
    await api.enqueue(jobs);
    const held = await parties.claim(6);
    await node.heartbeat(worker, held);
    await server.command("FLUSHALL");
    await api.enqueue(jobs);
    // Somebody else takes some of them before those who hold them have spoken.
    const twice = await thread.claim({ worker: "another", max: 3, tasks: ["job"], alone: false });
    expect(ids(twice)).toEqual(ids(held.slice(0, 3)));
    await node.heartbeat(worker, held);
    await thread.settle(worker, held.map(done));
    await thread.settle("another", twice.map(done));
    for (let got = await parties.claim(9); got.length > 0; got = await parties.claim(9)) await parties.settle(...got);
    await node.leave(worker);
    await node.leave("another");
    await reader.recordAll();
    await reader.recordAll();
    expect(await keysOf(parties)).toEqual(["events", "meta", "owner", "signals"]);
    for (const each of jobs) expect(parties.outcomes(each)).toBeGreaterThan(0);
  });

  test("also where a process ended before it could acknowledge what it had recorded", async () => {
    await using first = await open();
    const namespace = `bounds-${namespaces}`;
    const jobs = several(5);
    await first.api.enqueue(jobs);
    await first.reader.hold();
    await first.settle(...(await first.claim(5)));
    const page = await first.api.events(null, 1_000, true);
    expect(page.events.filter(({ kind }) => kind === "done")).toHaveLength(5);
    await first.node.leave(first.worker);
    await first.api.stop();
    await using next = await Parties.open(server.url, { namespace });
    next.reader.offset = page.offset;
    await next.reader.recordAll();
    await next.api.acknowledge(next.reader.offset);
    expect(await keysOf(next)).toEqual(["events", "meta", "owner", "signals"]);
  });
});
