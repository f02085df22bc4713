import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { Scene } from "../support/e2e-load.ts";
import { ownRedis } from "../support/e2e-site.ts";
import { RedisServer } from "../support/redis-server.ts";
import { LIMIT_MS } from "../support/waiting.ts";

setDefaultTimeout(LIMIT_MS);

describe.skipIf(!ownRedis).each([
  ["forgets everything", false],
  ["keeps its data", true],
])("a Redis that %s", (_, persist) => {
  test.concurrent("is killed under load and comes back, twice: everything ends once, the first of it soon", async () => {
    await using scene = await Scene.set({ persist });
    const { redis } = scene.site;
    const [ada, bob] = scene.users;
    await Promise.all(scene.users.map((user) => user.load(150)));
    await ada.heard(200);
    await redis.kill();
    await scene.until(503);
    // Work goes on where it can, and is accepted as ever.
    await bob.load(20);
    const cancelled = await bob.client.submit("slow", { ms: 600_000 });
    bob.expected.set(cancelled, { status: "cancelled" });
    await bob.client.cancel(cancelled);
    await redis.restart();
    await scene.expectSoon();
    await scene.until(200);
    scene.open();
    await bob.heard(400);
    await redis.restart();
    await ada.load(20);
    await scene.expectAllWell();
    await scene.expectConnections();
  });
});

describe.skipIf(!ownRedis)("under load", () => {
  test.concurrent("FLUSHALL, again and again: everything ends once, and what was running goes on", async () => {
    await using scene = await Scene.set();
    const [ada, bob] = scene.users;
    await Promise.all(scene.users.map((user) => user.load(200)));
    for (const [user, count] of [
      [ada, 100],
      [bob, 300],
      [ada, 500],
      [bob, 700],
    ] as const) {
      await user.heard(count);
      await scene.site.redis.command("FLUSHALL");
      await scene.expectSoon();
    }
    // That takes longer than a lease: what runs is not taken for lost.
    for (const user of scene.users) await user.othersEnded();
    scene.open();
    await scene.expectAllWell();
    expect(await scene.readiness()).toEqual({ status: 200, broker: { ok: true } });
    await scene.expectConnections();
  });

  test.concurrent("a Redis that stops answering, though it takes connections, is noticed; everything ends once", async () => {
    await using scene = await Scene.set();
    const { redis } = scene.site;
    await Promise.all(scene.users.map((user) => user.load(100)));
    await scene.users[0].heard(100);
    redis.pause();
    await scene.until(503);
    await scene.users[1].load(10);
    redis.resume();
    await scene.expectSoon();
    scene.open();
    await scene.until(200);
    await scene.expectAllWell();
    await scene.expectConnections();
  });

  test.concurrent.each([
    ["of nobody, and keeps its data", false],
    ["of another server, and takes on that one's", true],
  ])("a Redis becomes a replica %s: that is told, and everything ends once when it is master again", async (_, wiped) => {
    await using other = await RedisServer.start({ args: ["--repl-diskless-sync-delay", "0"] });
    await using scene = await Scene.set();
    const { redis } = scene.site;
    await Promise.all(scene.users.map((user) => user.load(100)));
    await scene.users[0].heard(100);
    if (!wiped) await other.kill();
    await redis.command("REPLICAOF", "127.0.0.1", other.port);
    await scene.until(503);
    expect((await scene.readiness()).broker).toEqual({ ok: false, detail: "it is a read-only replica" });
    if (wiped) await redis.says(/MASTER <-> REPLICA sync: Finished with success/);
    await scene.users[1].load(10);
    await redis.command("REPLICAOF", "NO", "ONE");
    await scene.expectSoon();
    scene.open();
    await scene.until(200);
    await scene.expectAllWell();
    await scene.expectConnections();
  });

  test.concurrent("a Redis whose memory is full: tasks are accepted and what is there is done, the rest when there is room", async () => {
    await using scene = await Scene.set();
    const { redis } = scene.site;
    const [ada, bob] = scene.users;
    await ada.load(100);
    await redis.command("CONFIG", "SET", "maxmemory", 1);
    await bob.load(100);
    // But for retries and what a busy worker gives back: those would have to be sent anew.
    await ada.heard(500);
    expect(await scene.readiness()).toEqual({ status: 200, broker: { ok: true } });
    expect(bob.view.ends.size).toBe(0);
    await redis.command("CONFIG", "SET", "maxmemory", 0);
    await scene.expectSoon();
    scene.open();
    await scene.expectAllWell();
    await scene.expectConnections();
  });
});
