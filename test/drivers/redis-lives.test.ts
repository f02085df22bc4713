import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { LEASE_MS } from "../../src/ports/broker.ts";
import { ManualClock } from "../support/manual-runtime.ts";
import { RedisServer, redisPath } from "../support/redis-server.ts";
import { LIMIT_MS } from "../support/waiting.ts";
import { Parties } from "./redis-parties.ts";
import { AWAY, expectAway, expectToldOnce, Scene } from "./redis-scene.ts";

setDefaultTimeout(LIMIT_MS);

describe.skipIf(redisPath === undefined)("a Redis that was killed", () => {
  test.each([
    ["has lost everything", false],
    ["has kept everything", true],
  ])("and %s: work goes on, what was sent meanwhile arrives once", async (_, persist) => {
    await using server = await RedisServer.start({ persist });
    await using parties = await Parties.open(server.url);
    const scene = await Scene.set(parties);
    await server.kill();
    const settled = parties.settle(scene.ended);
    await expectAway(scene);
    const ready = parties.nextReady();
    await server.restart();
    await ready;
    await scene.expectRecovered(settled, !persist);
    expectToldOnce(parties);
  });

  test("takes nobody's lease while it was away: workers get as long as one lasts to come back", async () => {
    await using server = await RedisServer.start({ persist: true });
    const clock = new ManualClock();
    await using parties = await Parties.open(server.url, { clock });
    const { held, ended } = await Scene.set(parties);
    await server.kill();
    await parties.journal.says(AWAY);
    clock.advance(10 * LEASE_MS);
    const ready = parties.nextReady();
    await server.restart();
    await ready;
    clock.advance(LEASE_MS);
    expect(await parties.api.reap()).toBe(0);
    expect(await parties.node.heartbeat(parties.worker, [held, ended])).toEqual({ cancelled: [], lost: [] });
    clock.advance(LEASE_MS);
    expect(await parties.api.reap()).toBe(0);
    clock.advance(1);
    expect(await parties.api.reap()).toBe(2);
  });

  test("hears of a cancellation that was asked for meanwhile", async () => {
    await using server = await RedisServer.start({ persist: true });
    await using parties = await Parties.open(server.url);
    const { held, queued } = await Scene.set(parties);
    await server.kill();
    await parties.journal.says(AWAY);
    await parties.api.cancel([held.id, queued.id]);
    const ready = parties.nextReady();
    await server.restart();
    await ready;
    expect(await parties.api.missing([held, queued])).toEqual([queued]);
    expect(await parties.claim(9)).toEqual([]);
    expect(await parties.node.heartbeat(parties.worker, [held])).toEqual({ cancelled: [held.id], lost: [] });
  });
});
