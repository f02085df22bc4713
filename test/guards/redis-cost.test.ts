import { describe, expect, test } from "bun:test";
import type { RedisBroker } from "../../src/drivers/redis/broker.ts";
import { openBroker, usable } from "../drivers/redis-parties.ts";
import { expectWithin } from "../support/bounds.ts";
import { ANNA, type Core, done, openCore } from "../support/core.ts";
import { type RedisCost, redisCost } from "../support/redis-meter.ts";
import { redisPath, sharedRedis } from "../support/redis-server.ts";

/*
 * What 1,000 tasks cost in commands, round trips and bytes, as Redis counts them. Commands and round trips are the same in every
 * run, bytes differ by some digits of times: a change that adds a command to a call, or a call, fails here on any machine.
 */

const TASKS = 1_000;
/** As many as a thread's slots take at a time. */
const CLAIMED = 125;
const CLAIMS = TASKS / CLAIMED;
/** Jobs that go in one call. */
const PAGE = 500;
const inputs = Array.from({ length: TASKS }, (_, x) => ({ x }));
const server = await sharedRedis();
let namespaces = 0;

/** A core on Redis with nothing that runs by itself: no timer's call comes into the count. */
class Scene implements AsyncDisposable {
  readonly core: Core;
  readonly hub: RedisBroker;
  readonly #sent: Promise<void>[] = [];

  private constructor(core: Core, hub: RedisBroker) {
    this.core = core;
    this.hub = hub;
    const enqueue = hub.enqueue.bind(hub);
    hub.enqueue = async (jobs) => {
      this.#sent.push(enqueue(jobs));
      await this.#sent.at(-1);
    };
  }

  /** The scripts are known to Redis, and the lane is there. */
  static async open(): Promise<Scene> {
    namespaces += 1;
    const hub = openBroker(server.url, { namespace: `guards-${namespaces}`, owner: "data" });
    await usable(hub);
    const scene = new Scene(await openCore({ idle: true, hub }), hub);
    await scene.core.tasks.submitBatch(ANNA, "job", inputs.slice(0, 2), {});
    await scene.sent();
    await scene.runAll();
    return scene;
  }

  /** What is stored has been taken by Redis too. */
  async sent(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    await Promise.all(this.#sent.splice(0));
  }

  claim(max: number) {
    return this.hub.claim({ worker: "w", max, alone: false, tasks: ["job"] });
  }

  /** Claims, settles and records until nothing is left. */
  async runAll(): Promise<void> {
    for (let jobs = await this.claim(CLAIMED); jobs.length > 0; jobs = await this.claim(CLAIMED)) {
      await this.hub.settle(
        "w",
        jobs.map((job) => done(job)),
      );
      await this.core.recorder.drained();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.core[Symbol.asyncDispose]();
  }
}

/** What one call that enqueues runs, beside the one that goes with it when the owner's turn begins. */
const enqueues = (calls: number): Record<string, number> => ({
  evalsha: calls,
  ...Object.fromEntries(["hmget", "hget", "hincrby", "exists", "hset", "zadd", "xadd"].map((name) => [name, calls])),
  rpush: calls + 1,
});

function expectCost({ commands, roundTrips, bytesIn, bytesOut }: RedisCost, bounds: RedisCost): void {
  expectWithin(commands, bounds.commands);
  expectWithin({ roundTrips, bytesIn, bytesOut }, { ...bounds, commands: 0 } as unknown as Record<string, number>);
  // What could not be counted would pass.
  expect(Object.keys(commands)).not.toBeEmpty();
}

describe.skipIf(redisPath === undefined)("Redis, for 1,000 tasks", () => {
  test("submitted one after the other: one script each", async () => {
    await using scene = await Scene.open();
    const cost = await redisCost(server, async () => {
      for (const input of inputs) await scene.core.tasks.submit(ANNA, "job", input, {});
      await scene.sent();
    });
    expectCost(cost, { commands: enqueues(TASKS), roundTrips: TASKS, bytesIn: 500_000, bytesOut: 47_500 });
  });

  test("submitted in one turn: two scripts", async () => {
    await using scene = await Scene.open();
    const cost = await redisCost(server, async () => {
      await Promise.all(inputs.map((input) => scene.core.tasks.submit(ANNA, "job", input, {})));
      await scene.sent();
    });
    const calls = TASKS / PAGE;
    expectCost(cost, { commands: enqueues(calls), roundTrips: calls, bytesIn: 224_700, bytesOut: 150 });
  });

  test("submitted as a batch: two scripts", async () => {
    await using scene = await Scene.open();
    const cost = await redisCost(server, async () => {
      await scene.core.tasks.submitBatch(ANNA, "job", inputs, {});
      await scene.sent();
    });
    const calls = TASKS / PAGE;
    expectCost(cost, { commands: enqueues(calls), roundTrips: calls, bytesIn: 224_700, bytesOut: 150 });
  });

  test("run: for each 125 tasks, three scripts and two reads", async () => {
    await using scene = await Scene.open();
    await scene.core.tasks.submitBatch(ANNA, "job", inputs, {});
    await scene.sent();
    const cost = await redisCost(server, () => scene.runAll());
    const commands = {
      ...{
        evalsha: 3 * CLAIMS + 1,
        xrange: 2 * CLAIMS,
        time: CLAIMS + 1,
        hgetall: 2 * CLAIMS,
        xtrim: CLAIMS,
        xadd: 2 * CLAIMS,
        xlen: 2 * CLAIMS + 1,
      },
      ...{ hmget: 4 * CLAIMS, hget: 3 * CLAIMS + 1, hset: 3 * CLAIMS, hdel: 2 * CLAIMS + 1, hincrby: 3 * CLAIMS },
      ...{ lpop: 4 * CLAIMS, rpush: 2 * CLAIMS - 1, exists: 4 * CLAIMS, del: 2 * CLAIMS + 1 },
      ...{ zcard: 46, zrange: 46, zadd: 3 * CLAIMS - 1, zrem: 1 },
    };
    expectCost(cost, { commands, roundTrips: 5 * CLAIMS + 1, bytesIn: 178_200, bytesOut: 320_900 });
    expect(scene.core.store.countPending()).toBe(0);
  });

  test("that report their progress ten times: a message for all that one thread tells at a time", async () => {
    await using scene = await Scene.open();
    await scene.core.tasks.submitBatch(ANNA, "job", inputs, {});
    await scene.sent();
    const jobs = await scene.claim(CLAIMED);
    const cost = await redisCost(server, async () => {
      for (let report = 1; report <= 10; report += 1) {
        scene.hub.report(jobs.map(({ id, fence }) => ({ id, fence, progress: report / 10, message: `step ${report}`, at: 1 })));
      }
      // Behind them on the same connection.
      await scene.hub.link.call((client) => client.ping());
    });
    expectCost(cost, { commands: { publish: 10 }, roundTrips: 10, bytesIn: 122_000, bytesOut: 100 });
  });
});
