import { describe, expect, test } from "bun:test";
import { RedisBroker } from "../../src/drivers/redis/broker.ts";
import { Keys } from "../../src/drivers/redis/keys.ts";
import { connector } from "../../src/drivers/redis/url.ts";
import { systemClock, systemRandom } from "../../src/drivers/system.ts";
import { ids, several } from "../contracts/bench.ts";
import { redisPath, sharedRedis } from "../support/redis-server.ts";
import { within } from "../support/waiting.ts";
import { done, Journal } from "./redis-parties.ts";

const server = await sharedRedis();
const DIRECTORY = "the directory";
/** Epochs of rows, as UUIDv7 are: later ones come later in the order of texts. */
const [FIRST, SECOND] = ["0190-first", "0191-second"];

/** A server's broker, or with no epoch a worker's, once it is known whether it can use Redis. */
async function open(namespace: string, rows?: string): Promise<RedisBroker & AsyncDisposable> {
  const broker = new RedisBroker({
    connector: connector(server.url),
    keys: new Keys(namespace),
    owner: rows === undefined ? undefined : DIRECTORY,
    rows,
    clock: systemClock,
    random: systemRandom,
    log: new Journal().log,
  });
  await broker.link.verdict(30_000);
  return Object.assign(broker, { [Symbol.asyncDispose]: () => broker.stop() });
}

const claim = (broker: RedisBroker, max: number) => broker.claim({ worker: "w", max, tasks: ["job"], alone: false });

describe.skipIf(redisPath === undefined)("rows that went back to a backup", () => {
  test("find a Redis that begins anew: no job, lease or event of before; a worker gives up what has been sent again", async () => {
    const [held, settled, queued, again] = several(4);
    if (!held || !settled || !queued || !again) throw new Error("four jobs");
    await using worker = await open("back");
    await using before = await open("back", FIRST);
    await before.enqueue([held, settled, queued]);
    expect(ids(await claim(worker, 2))).toEqual(ids([held, settled]));
    await worker.settle("w", [done(settled)]);
    expect(await worker.heartbeat("w", [held])).toEqual({ cancelled: [], lost: [] });
    const { offset } = await before.events(null, 100, true);
    await before.stop();

    await using after = await open("back", SECOND);
    expect(after.link.epoch).not.toBe(before.link.epoch);
    // What a worker held then, a later heartbeat would otherwise give back, whatever stands in its place by now.
    expect(await server.command("EXISTS", after.link.keys.held("w"))).toBe(0);
    expect(ids(await after.missing([held, settled, queued]))).toEqual(ids([held, settled, queued]));
    expect((await after.events(offset, 100, true)).events).toEqual([]);
    const later = { ...held, fence: 1_000 };
    await after.enqueue([later, again]);
    expect(await worker.heartbeat("w", [held])).toEqual({ cancelled: [], lost: [held] });
    expect(await worker.settle("w", [done(held)])).toEqual(["lease lost"]);
    // What stood in the lane before is passed over.
    expect(await claim(worker, 9)).toEqual([later, again]);
    expect(await worker.settle("w", [done(later), done(again)])).toEqual(["taken", "taken"]);
    const { events } = await after.events(null, 100, true);
    expect(events.map(({ kind, fence }) => [kind, fence])).toEqual([
      ["started", 1_000],
      ["done", 1_000],
      ["started", 1],
      ["done", 1],
    ]);
  });

  test("are not known to Redis yet, or are the same: nothing is lost", async () => {
    const [job] = several(1);
    if (!job) throw new Error("a job");
    await using worker = await open("same");
    {
      await using first = await open("same", FIRST);
      await first.enqueue([job]);
      await server.command("HDEL", first.link.keys.meta, "rows");
    }
    for (const _ of ["not known", "the same"]) {
      await using again = await open("same", FIRST);
      expect(again.link.epoch).toBe(worker.link.epoch);
      expect(await again.missing([job])).toEqual([]);
    }
  });

  test("keep the namespace: those of an earlier life are refused, and change nothing", async () => {
    const [job] = several(1);
    if (!job) throw new Error("a job");
    await using later = await open("kept", SECOND);
    await later.enqueue([job]);
    await using earlier = await open("kept", FIRST);
    expect(earlier.trouble()).toContain("restored copy of this data directory");
    expect(earlier.link.fatal).toMatchObject({ code: "redis_refused" });
    expect(await later.missing([job])).toEqual([]);
    expect(later.trouble()).toBeUndefined();
  });

  test("are told of once more after Redis has forgotten everything", async () => {
    await using broker = await open("wiped", SECOND);
    const ready = Promise.withResolvers<void>();
    broker.onReady(() => ready.resolve());
    await server.command("FLUSHALL");
    await broker.missing(several(1));
    await within(ready.promise, "ready");
    expect(await server.command("HGET", broker.link.keys.meta, "rows")).toBe(SECOND);
  });
});
