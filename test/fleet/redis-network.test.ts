import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { Scene } from "../support/e2e-load.ts";
import { ownRedis } from "../support/e2e-site.ts";
import { TcpProxy } from "../support/proxy.ts";
import { LIMIT_MS, SEED, seeded } from "../support/waiting.ts";

setDefaultTimeout(LIMIT_MS);

/** Each way. */
const SLOW_MS = 500;
/** As slow as that, 60 tasks and their retries are done within this, in milliseconds. */
const LATEST_MS = 40_000;

/** A scene whose processes reach Redis over a network that does as it is told. */
async function distant() {
  await using starting = new AsyncDisposableStack();
  let proxy: TcpProxy | undefined;
  const scene = starting.use(
    await Scene.set({}, ({ redis }) => {
      proxy = starting.use(new TcpProxy(redis.port));
      return proxy.url;
    }),
  );
  const resources = starting.move();
  return { scene, proxy: proxy as TcpProxy, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

/** Redis itself was there all the time, so no lease ended, and nothing was to run twice. */
async function expectAllWell(scene: Scene): Promise<void> {
  scene.open();
  await scene.expectAllWell();
  scene.expectEachRanOnce();
  await scene.until(200);
  await scene.expectConnections();
}

describe.skipIf(!ownRedis)("a network to Redis", () => {
  test.concurrent("half a second long: everything ends once, at its pace, and nobody complains", async () => {
    await using all = await distant();
    const { scene, proxy } = all;
    proxy.latencyMs = SLOW_MS;
    const began = performance.now();
    await Promise.all(scene.users.map((user) => user.load(5)));
    await expectAllWell(scene);
    const tookMs = performance.now() - began;
    console.log(`60 tasks over a network of ${2 * SLOW_MS} ms a round trip: ${(tookMs / 1000).toFixed(1)} s`);
    expect(tookMs).toBeLessThan(LATEST_MS);
    for (const { log } of scene.processes) expect(log.filter(({ level }) => level === "warn" || level === "error")).toEqual([]);
  });

  test.concurrent("that is silent for a while: it is noticed, and everything ends once", async () => {
    await using all = await distant();
    const { scene, proxy } = all;
    const [ada, bob] = scene.users;
    await Promise.all(scene.users.map((user) => user.load(100)));
    await ada.heard(300);
    proxy.stall();
    await scene.until(503);
    await bob.load(10);
    proxy.resume();
    await scene.expectSoon();
    await expectAllWell(scene);
  });

  test.concurrent("that resets all connections, again and again: everything ends once", async () => {
    await using all = await distant();
    const { scene, proxy } = all;
    await Promise.all(scene.users.map((user) => user.load(100)));
    for (let count = 100; count <= 500; count += 100) {
      await scene.users[0].heard(count);
      proxy.reset();
    }
    await expectAllWell(scene);
  });

  test.concurrent("that breaks every connection in the middle of some answer: everything ends once", async () => {
    await using all = await distant();
    const { scene, proxy } = all;
    console.log(`connections broken at ARTEL_TEST_SEED=${SEED}`);
    const random = seeded(SEED);
    // What is read at once may be longer than most: every eighth connection lives for longer.
    let made = 0;
    proxy.budget = () => {
      made += 1;
      return made % 8 === 0 ? 300_000 : Math.floor(random() * 60_000);
    };
    proxy.reset();
    await Promise.all(scene.users.map((user) => user.load(100)));
    await scene.users[0].heard(300);
    proxy.budget = () => Number.POSITIVE_INFINITY;
    expect(proxy.spent).toBeGreaterThan(5);
    proxy.reset();
    await expectAllWell(scene);
  });
});
