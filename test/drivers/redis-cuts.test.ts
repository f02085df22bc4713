import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { LEASE_MS } from "../../src/ports/broker.ts";
import { job } from "../contracts/bench.ts";
import { ManualClock } from "../support/manual-runtime.ts";
import { RedisCluster, RedisSentinels, RedisServer, redisPath } from "../support/redis-server.ts";
import { eventually, LIMIT_MS } from "../support/waiting.ts";
import { Parties } from "./redis-parties.ts";
import { AWAY, BACK, expectAway, expectToldOnce, Scene } from "./redis-scene.ts";

setDefaultTimeout(LIMIT_MS);

/** How soon work must go on once the server is back, in milliseconds. */
const SOON_MS = 2_000;

async function cut(server: RedisServer, name: string): Promise<number> {
  const connections = (await server.clients()).filter((each) => each.name === name);
  for (const { id } of connections) await server.command("CLIENT", "KILL", "ID", id);
  return connections.length;
}

describe.skipIf(redisPath === undefined).concurrent("a connection that is cut", () => {
  test("is made again, whichever it is, and nothing is missed but progress", async () => {
    await using server = await RedisServer.start();
    await using parties = await Parties.open(server.url);
    await parties.pass();
    for (const name of ["artel-events", "artel-signals", "artel-progress"]) {
      expect([name, await cut(server, name)]).toEqual([name, 1]);
      await parties.pass();
    }
    expect(parties.journal.lines).toEqual([]);
    const epoch = parties.epoch;
    const ready = parties.nextReady();
    expect(await cut(server, "artel")).toBe(3);
    await ready;
    await parties.pass();
    // The same run of the server has lost nothing.
    expect(parties.epoch).toBe(epoch);
    expectToldOnce(parties);
  });

  test("in the middle of a settlement: the outcome comes once", async () => {
    await using server = await RedisServer.start();
    await using parties = await Parties.open(server.url);
    const scene = await Scene.set(parties);
    const ready = parties.nextReady();
    server.pause();
    const settled = parties.settle(scene.ended);
    // Behind the settlement, which the server still finds in its socket.
    const killed = Promise.all([server.command("CLIENT", "KILL", "TYPE", "normal"), ready]);
    server.resume();
    await killed;
    expect(["taken", "lease lost"]).toContain(String(await settled));
    const { events } = await parties.api.events(scene.offset, 1_000, true);
    expect(events.filter(({ kind }) => kind === "done").map(({ id }) => id)).toEqual([scene.ended.id]);
  });

  test("before it was subscribed: progress is heard all the same", async () => {
    await using server = await RedisServer.start();
    const user = ["ACL", "SETUSER", "artel", "reset", "on", ">word", "~*", "+@all"];
    await server.command(...(user as [string]), "resetchannels");
    await using parties = await Parties.open(server.url.replace("//", "//artel:word@"));
    const passed = parties.pass();
    const refused = async () => String(await server.command("ACL", "LOG")).includes("channel") || undefined;
    await eventually(refused, "a subscription that is refused");
    await server.command(...(user as [string]), "allchannels");
    await passed;
  });
});

describe.skipIf(redisPath === undefined).concurrent("a Redis that hangs", () => {
  test("gets new connections, and work goes on as soon as it does", async () => {
    await using server = await RedisServer.start();
    await using parties = await Parties.open(server.url);
    const scene = await Scene.set(parties);
    const before = new Set((await server.clients()).map(({ id }) => id));
    server.pause();
    const settled = parties.settle(scene.ended);
    const calls = [parties.node.heartbeat(parties.worker, [scene.held]), parties.api.missing([scene.held])];
    const failed = Promise.all(calls.map((call) => call.catch((error: { code: string }) => error.code)));
    await expectAway(scene);
    expect(await failed).toEqual(["redis_unavailable", "redis_unavailable"]);
    const ready = parties.nextReady();
    const back = performance.now();
    server.resume();
    await ready;
    // The server may have found the first try in its socket; then the second has no lease.
    expect(["taken", "lease lost"]).toContain(String(await settled));
    parties.reader.resume();
    await parties.pass();
    const tookMs = performance.now() - back;
    console.log(`a paused Redis: all of it works again after ${tookMs.toFixed(0)} ms`);
    expect(tookMs).toBeLessThan(SOON_MS);
    // A subscription speaks every few seconds only, and does no harm where it stands.
    const now = (await server.clients()).filter(({ name }) => name !== "artel-progress");
    expect(now.map(({ name }) => name).sort()).toEqual(["artel", "artel", "artel", "artel-events", "artel-signals"]);
    expect(now.filter(({ id }) => before.has(id))).toEqual([]);
    expect(parties.outcomes(scene.ended)).toBe(1);
    expect(await parties.node.heartbeat(parties.worker, [scene.held])).toEqual({ cancelled: [], lost: [] });
    expectToldOnce(parties);
  });
});

describe.skipIf(redisPath === undefined).concurrent("Sentinels", () => {
  test("lead to the next master when the first one dies: its replica's data is another life", async () => {
    await using group = await RedisSentinels.start();
    await using parties = await Parties.open(group.url);
    const scene = await Scene.set(parties);
    // What was written has reached the replica.
    expect(await parties.api.link.call((client) => client.call("WAIT", 1, 10_000))).toBe(1);
    await group.master.kill();
    const settled = parties.settle(scene.ended);
    await expectAway(scene);
    const ready = parties.nextReady();
    await group.failedOver();
    const promoted = performance.now();
    await ready;
    console.log(`Sentinel: usable ${(performance.now() - promoted).toFixed(0)} ms after the last one knew of the failover`);
    await scene.expectRecovered(settled, false);
    expectToldOnce(parties);
  });

  test("lead away from a master that hangs, and it is not gone back to when it is its replica", async () => {
    await using group = await RedisSentinels.start();
    await using parties = await Parties.open(group.url);
    const scene = await Scene.set(parties);
    expect(await parties.api.link.call((client) => client.call("WAIT", 1, 10_000))).toBe(1);
    group.master.pause();
    const settled = parties.settle(scene.ended);
    for (const call of [parties.node.heartbeat(parties.worker, [scene.held]), parties.api.missing([scene.held])])
      call.catch(() => {});
    const ready = parties.nextReady();
    await expectAway(scene);
    await ready;
    group.master.resume();
    await scene.expectRecovered(settled, false);
    expectToldOnce(parties);
  });
});

/** The node that keeps the tests' namespace. */
async function homeOf(cluster: RedisCluster): Promise<RedisServer> {
  const sizes = await Promise.all(cluster.nodes.map((node) => node.command("DBSIZE")));
  const home = cluster.nodes[sizes.findIndex((size) => size !== 0)];
  if (!home) throw new Error("no node of the cluster has any key");
  return home;
}

describe.skipIf(redisPath === undefined).concurrent("a cluster whose node has died", () => {
  test.each([
    ["and comes back without anything", false],
    ["and comes back with everything", true],
  ])("%s: it is noticed, and work goes on", async (_, persist) => {
    await using cluster = await RedisCluster.start({ persist });
    const clock = new ManualClock();
    await using parties = await Parties.open(cluster.url, { clock });
    const scene = await Scene.set(parties);
    const home = await homeOf(cluster);
    await home.kill();
    const settled = parties.settle(scene.ended);
    const beat = parties.node.heartbeat(parties.worker, [scene.held]).catch(() => {});
    await parties.api.missing([scene.held]).catch(() => {});
    await expectAway(scene);
    await beat;
    clock.advance(10 * LEASE_MS);
    const ready = parties.nextReady();
    await home.restart();
    const back = performance.now();
    await ready;
    console.log(`a cluster: usable ${(performance.now() - back).toFixed(0)} ms after its node was back`);
    await scene.expectRecovered(settled, !persist);
    expectToldOnce(parties);
  });
});

describe.skipIf(redisPath === undefined).concurrent("a master that becomes a replica", () => {
  test("is out of use for so long, and says so", async () => {
    // For a second it waits for more replicas before it sends its data: so long the other one has its own.
    await using other = await RedisServer.start({ args: ["--repl-diskless-sync-delay", "1"] });
    await using server = await RedisServer.start();
    await using parties = await Parties.open(server.url);
    const { api, epoch } = parties;
    await parties.pass();
    await server.command("REPLICAOF", "127.0.0.1", other.port);
    for (const broker of [parties.api, parties.node]) await broker.enqueue([job()]);
    await parties.claim(1).catch(() => {});
    await parties.journal.says(AWAY);
    await server.says(/MASTER <-> REPLICA sync: Finished with success/);
    expect(api.trouble()).toBe("it is a read-only replica");
    expect(parties.journal.of(BACK)).toEqual([]);
    const ready = parties.nextReady();
    await server.command("REPLICAOF", "NO", "ONE");
    await ready;
    expect(parties.epoch).not.toBe(epoch);
    await parties.pass();
    expectToldOnce(parties);
    expect(parties.journal.of(AWAY)).toHaveLength(1);
  });
});
