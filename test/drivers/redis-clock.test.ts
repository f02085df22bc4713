import { describe, expect, test } from "bun:test";
import { HEARTBEAT_MS, type Job, LEASE_MS } from "../../src/ports/broker.ts";
import { job } from "../contracts/bench.ts";
import { ManualClock } from "../support/manual-runtime.ts";
import { redisPath, sharedRedis } from "../support/redis-server.ts";
import { Parties } from "./redis-parties.ts";

const server = await sharedRedis();
const HOUR_MS = 3_600_000;
let namespaces = 0;

/** The clock of the whole machine: the server's, and everybody's who works there. */
interface Scene {
  readonly parties: Parties;
  readonly clock: ManualClock;
  /** By a worker that lives. */
  readonly held: Job;
  /** By one that has just died. */
  readonly orphan: Job;
}

/** Two workers had spoken a moment ago, and leases could end. */
async function scene(): Promise<Scene & AsyncDisposable> {
  namespaces += 1;
  const clock = new ManualClock();
  const parties = await Parties.open(server.url, { namespace: `clock-${namespaces}`, clock });
  const { api, node, thread, worker } = parties;
  const [held, orphan] = [job(), job()];
  await api.enqueue([held, orphan]);
  for (let at = 0; at <= LEASE_MS; at += HEARTBEAT_MS) {
    clock.advance(HEARTBEAT_MS);
    await api.heartbeat("api", []);
    await node.heartbeat(worker, []);
    expect(await api.reap()).toBe(0);
  }
  expect(await parties.claim(1)).toEqual([held]);
  expect(await thread.claim({ worker: "dies", max: 1, tasks: ["job"], alone: false })).toEqual([orphan]);
  await node.heartbeat(worker, [held]);
  await node.heartbeat("dies", [orphan]);
  return { parties, clock, held, orphan, [Symbol.asyncDispose]: () => parties[Symbol.asyncDispose]() };
}

/** Time goes on for as long as a lease, and the living worker says so. @returns how many leases have ended */
async function lease({ parties, clock, held }: Scene): Promise<number> {
  let reaped = 0;
  for (let at = 0; at <= LEASE_MS; at += HEARTBEAT_MS) {
    clock.advance(HEARTBEAT_MS);
    expect(await parties.node.heartbeat(parties.worker, [held])).toEqual({ cancelled: [], lost: [] });
    await parties.api.heartbeat("api", []);
    reaped += await parties.api.reap();
  }
  return reaped;
}

describe.skipIf(redisPath === undefined)("a machine whose clock is set while work goes on", () => {
  for (const [way, ms] of [
    ["forward", HOUR_MS],
    ["back", -HOUR_MS],
    ["back by less than a lease", -LEASE_MS / 2],
  ] as const) {
    test(`${way}: who lives loses nothing, and who is dead his job a lease later`, async () => {
      await using all = await scene();
      const { parties, clock, held, orphan } = all;
      clock.jump(ms);
      // Before anybody has spoken since.
      expect(await parties.api.reap()).toBe(0);
      await parties.api.heartbeat("api", []);
      expect(await parties.api.reap()).toBe(0);
      const first = await lease(all);
      expect(first + (await lease(all))).toBe(1);
      expect(await parties.reader.kindsOf(orphan.id)).toEqual(["started", "lost"]);
      expect(await parties.settle(held)).toEqual(["taken"]);
      expect(await parties.reader.kindsOf(held.id)).toEqual(["started", "done"]);
    });
  }

  test("back: what a claim brought that nobody heard of is given back all the same", async () => {
    await using all = await scene();
    const { parties, clock, held } = all;
    const unheard = job();
    await parties.api.enqueue([unheard]);
    expect(await parties.claim(1)).toEqual([unheard]);
    clock.jump(-HOUR_MS);
    await lease(all);
    expect(await parties.reader.kindsOf(unheard.id)).toEqual(["started", "released"]);
    expect(await parties.settle(held)).toEqual(["taken"]);
  });

  test("back: events of before and after are read, each once and in order", async () => {
    await using all = await scene();
    const { parties, held } = all;
    const { api, reader, epoch } = parties;
    // The server's clock was a lifetime ahead when it wrote this.
    const ahead = { id: "ahead", fence: 1 };
    const far = "4102444800000-0";
    await server.command("XADD", api.link.keys.events, far, "l", JSON.stringify({ ...ahead, log: [] }));
    await reader.until(() => reader.seen.some(({ id }) => id === ahead.id));
    await reader.hold();
    expect(reader.offset).toEqual({ epoch, id: far });
    reader.resume();
    const more = job();
    await api.enqueue([more]);
    expect(await parties.claim(1)).toEqual([more]);
    expect(await parties.settle(held, more)).toEqual(["taken", "taken"]);
    expect(await reader.kindsOf(held.id)).toEqual(["started", "done"]);
    expect(await reader.kindsOf(more.id)).toEqual(["started", "done"]);
  });
});
