import { describe, expect, test } from "bun:test";
import { rateOf } from "../../src/domain/limits.ts";
import { HEARTBEAT_MS, type Job, type JobRef } from "../../src/ports/broker.ts";
import { ids, job, several } from "../contracts/bench.ts";
import { redisPath, sharedRedis } from "../support/redis-server.ts";
import { within } from "../support/waiting.ts";
import { Calls, done, Parties } from "./redis-parties.ts";
import { AWAY, expectToldOnce, Scene, WIPED } from "./redis-scene.ts";

const server = await sharedRedis();
const wipe = (): Promise<unknown> => server.command("FLUSHALL");

const missingOf = async (api: Parties["api"], jobs: readonly Job[]): Promise<readonly Job[]> => {
  const missing = new Set(ids(await api.missing(jobs)));
  return jobs.filter(({ id }) => missing.has(id));
};

/** Plays whoever feeds the broker: what it has lost is sent again. */
function feed({ api }: Parties, unfinished: () => readonly Job[]): void {
  api.onReady(() => {
    void missingOf(api, unfinished()).then((jobs) => api.enqueue(jobs));
  });
}

describe.skipIf(redisPath === undefined)("a Redis that forgets everything, and no connection is lost", () => {
  test("is fed again, and what was running goes on", async () => {
    await using parties = await Parties.open(server.url);
    const scene = await Scene.set(parties);
    await wipe();
    // Nobody has noticed yet. Whoever comes first begins the new life.
    const ready = new Calls((listener) => parties.api.onReady(listener)).next("ready");
    const settled = parties.settle(scene.ended);
    await settled;
    await parties.api.missing([scene.held]);
    await ready;
    await scene.expectRecovered(settled, true);
    expectToldOnce(parties, 0);
    expect(parties.journal.of(WIPED)).toHaveLength(1);
  });

  test("under load, again and again: every job ends", async () => {
    await using parties = await Parties.open(server.url);
    const { api, node, reader } = parties;
    const jobs = several(600, { name: "load" });
    const ended = new Set<string>();
    feed(parties, () => jobs.filter(({ id }) => !ended.has(id)));
    const all = reader.until(() => {
      for (const { kind, id } of reader.seen) if (kind === "done") ended.add(id);
      return ended.size === jobs.length;
    });
    let over = false;
    const work = new Calls((listener) => node.onWork(listener));
    const worker = async (): Promise<void> => {
      while (!over) {
        const got = await parties.claim(8, ["load"]);
        if (got.length > 0) await parties.settle(...got);
        else await Promise.race([work.next("work"), all]);
      }
    };
    const workers = [worker(), worker()];
    for (let at = 0; at < jobs.length; at += 100) {
      await api.enqueue(jobs.slice(at, at + 100));
      await reader.until(() => ended.size > at / 2);
      if (at % 200 === 0) await wipe();
    }
    await within(all, "the end of all jobs", () => `${ended.size} have ended: ${parties.journal.lines.join("\n")}`);
    over = true;
    await Promise.all(workers);
    await parties.pass();
    expect(parties.journal.of(AWAY)).toEqual([]);
    expect(parties.journal.of(WIPED).length).toBeGreaterThan(0);
  });

  test("does not know what runs: whoever asks is told how long nothing that counts begins", async () => {
    await using parties = await Parties.open(server.url);
    const { api } = parties;
    const counted = { name: "counted", concurrency: 1 };
    await api.restrain({ limits: [counted, { name: "paced", rate: rateOf(1, 1_000) }], pausedTasks: [], pausedQueues: [] });
    const unknownMs = async () => (await api.limitUse(["counted", "paced"])).map(({ countedInMs }) => countedInMs);
    expect(await unknownMs()).toEqual([0, 0]);
    await wipe();
    const ready = new Calls((listener) => api.onReady(listener)).next("ready");
    await api.missing([job()]);
    await ready;
    const [countedMs, pacedMs] = await unknownMs();
    expect(countedMs).toBeWithin(1, 2 * HEARTBEAT_MS + 1);
    expect(pacedMs).toBe(0);
  });

  test("has forgotten whose the namespace is, and is told", async () => {
    await using parties = await Parties.open(server.url, { namespace: "mine", owner: "first" });
    await wipe();
    const ready = new Calls((listener) => parties.api.onReady(listener)).next("ready");
    await parties.api.missing([job()]);
    await ready;
    expect(await server.command("GET", parties.api.link.keys.owner)).toBe("first");
  });

  test("begins one new life, however it goes on", async () => {
    await using parties = await Parties.open(server.url);
    const { api, node, worker, epoch } = parties;
    await wipe();
    await api.enqueue([job()]);
    const next = parties.epoch;
    expect(next).not.toBe(epoch);
    await node.heartbeat(worker, []);
    expect(node.link.epoch).toBe(next);
    await api.reap();
    expect(parties.epoch).toBe(next);
  });

  test("is not asked to forget new events by an acknowledgement of old ones, whatever their ids", async () => {
    await using parties = await Parties.open(server.url);
    const { api, node, reader } = parties;
    await reader.hold();
    // The clock was ahead.
    const [one, other] = [job(), job()];
    const line: JobRef = { id: other.id, fence: 1 };
    await server.command("XADD", api.link.keys.events, "9999999999999-0", "l", JSON.stringify({ ...line, log: [] }));
    const page = await api.events(null, 9, true);
    expect(ids(page.events)).toEqual([other.id]);
    await wipe();
    await node.enqueue([one]);
    expect(await parties.claim(1)).toEqual([one]);
    expect(await parties.settle(one)).toEqual(["taken"]);
    await api.acknowledge(page.offset);
    reader.resume();
    expect(await reader.kindsOf(one.id)).toEqual(["started", "done"]);
  });

  test("takes a worker's first heartbeat for what it is, too: its jobs are not lost", async () => {
    await using parties = await Parties.open(server.url);
    const { api, node, worker } = parties;
    const one = job();
    await api.enqueue([one]);
    await parties.claim(1);
    await wipe();
    expect(await node.heartbeat(worker, [one])).toEqual({ cancelled: [], lost: [] });
    expect(await api.missing([one])).toEqual([]);
    expect(await parties.thread.settle(worker, [done(one)])).toEqual(["taken"]);
  });

  test("takes no job before it has been told again what is limited and paused", async () => {
    await using parties = await Parties.open(server.url);
    const { api, node, worker } = parties;
    await api.restrain({ limits: [{ name: "job", concurrency: 1 }], pausedTasks: ["paused"], pausedQueues: [] });
    const [running, waiting, paused, free] = [job(), job(), job({ name: "paused" }), job({ name: "free" })];
    await api.enqueue([running]);
    expect(await parties.claim(9)).toEqual([running]);
    await wipe();
    // Nobody has noticed yet.
    const ready = new Calls((listener) => api.onReady(listener)).next("ready");
    await api.enqueue([waiting, paused, free]);
    expect(await parties.claim(9, ["job", "paused", "free"])).toEqual([]);
    await ready;
    await node.heartbeat(worker, [running]);
    await api.enqueue(await missingOf(api, [running, waiting, paused, free]));
    expect(await parties.claim(9, ["job", "paused", "free"])).toEqual([free]);
  });
});
