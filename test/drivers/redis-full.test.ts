import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { ids, job, several } from "../contracts/bench.ts";
import { RedisServer, redisPath } from "../support/redis-server.ts";
import { LIMIT_MS, within } from "../support/waiting.ts";
import { Calls, Parties } from "./redis-parties.ts";
import { AWAY, Scene } from "./redis-scene.ts";

setDefaultTimeout(LIMIT_MS);

/** Lets it have so much more than it has now. */
const limit = async (server: RedisServer, bytes: number): Promise<void> => {
  const info = String(await server.command("INFO", "memory"));
  const used = Number(/^used_memory:(\d+)/m.exec(info)?.[1]);
  await server.command("CONFIG", "SET", "maxmemory", used + bytes);
};

describe.skipIf(redisPath === undefined)("a Redis whose memory is full", () => {
  test("takes no more jobs, and what cannot be sent is found missing; what is there goes all its way", async () => {
    await using server = await RedisServer.start();
    await using parties = await Parties.open(server.url);
    const { api, node, worker } = parties;
    const scene = await Scene.set(parties);
    await server.command("CONFIG", "SET", "maxmemory", 1);
    const again = new Calls((listener) => api.onReady(listener)).next("a call to look again");
    const more = several(2);
    await api.enqueue(more);
    expect(parties.journal.of(/could not enqueue .*its memory is full/)).toHaveLength(1);
    expect(await api.missing(more)).toEqual(more);
    await again;

    expect(await node.heartbeat(worker, [scene.held, scene.ended])).toEqual({ cancelled: [], lost: [] });
    expect(await parties.settle(scene.ended)).toEqual(["taken"]);
    expect(await parties.claim(9)).toEqual([scene.queued]);
    await api.cancel([scene.held.id]);
    expect(await node.heartbeat(worker, [scene.held])).toEqual({ cancelled: [scene.held.id], lost: [] });
    await node.leave(worker);
    scene.parties.reader.resume();
    await parties.reader.until(() => parties.outcomes(scene.held) + parties.outcomes(scene.queued) === 2);
    await api.enqueue(more);
    expect(parties.journal.of(/could not enqueue/)).toHaveLength(1);

    await server.command("CONFIG", "SET", "maxmemory", 0);
    await api.enqueue(more);
    expect(await api.missing(more)).toEqual([]);
    await parties.pass();
    expect(parties.journal.of(AWAY)).toEqual([]);
  });

  test("empties itself: the jobs that have filled it are run, and make room for the rest", async () => {
    await using server = await RedisServer.start();
    await using parties = await Parties.open(server.url);
    const { api, node, reader } = parties;
    const jobs = several(60, { name: "large", args: JSON.stringify("x".repeat(300_000)) });
    await limit(server, 8_000_000);
    const ended = new Set<string>();
    const feed = async (): Promise<void> => {
      const refs = new Set(ids(await api.missing(jobs.filter(({ id }) => !ended.has(id)))));
      await api.enqueue(jobs.filter(({ id }) => refs.has(id)));
    };
    for (const each of jobs) await api.enqueue([each]);
    expect((await api.missing(jobs)).length).toBeGreaterThan(0);
    // What its clients had used is free again.
    await limit(server, -1);
    const all = reader.until(() => {
      for (const { kind, id } of reader.seen) if (kind === "done") ended.add(id);
      return ended.size === jobs.length;
    });
    const work = new Calls((listener) => node.onWork(listener));
    for (let round = 0; ended.size < jobs.length; round += 1) {
      if (round > 200) throw new Error(`${ended.size} jobs have ended: ${parties.journal.lines.join("\n")}`);
      const got = await parties.claim(4, ["large"]);
      if (got.length > 0) await parties.settle(...got);
      else await Promise.race([work.next("work"), all]);
      await feed();
    }
    await within(all, "the end of all");
  });
});

describe.skipIf(redisPath === undefined)("a Redis that refuses writes", () => {
  test("is asked again until an outcome is taken, and a line says it once", async () => {
    await using server = await RedisServer.start();
    await using parties = await Parties.open(server.url);
    const scene = await Scene.set(parties);
    const { api } = parties;
    await server.command("CONFIG", "SET", "min-replicas-to-write", 1);
    await api.enqueue([job()]);
    const settled = api.settle(parties.worker, [{ kind: "cancelled", id: scene.ended.id, fence: 1, at: 1 }]);
    await parties.journal.says(/could not settle .*NOREPLICAS/);
    const refusals = async (): Promise<number> => {
      const stats = String(await server.command("INFO", "errorstats"));
      return Number(/errorstat_NOREPLICAS:count=(\d+)/.exec(stats)?.[1]);
    };
    for (const before = await refusals(); (await refusals()) < before + 3; );
    expect(parties.journal.of(/could not settle/)).toHaveLength(1);
    await server.command("CONFIG", "SET", "min-replicas-to-write", 0);
    expect(await settled).toEqual(["taken"]);
    scene.parties.reader.resume();
    await parties.reader.until(() => parties.outcomes(scene.ended) === 1);
    await parties.pass();
  });
});
