import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { SCRIPTS } from "../../src/drivers/redis/scripts.ts";
import { LEASE_MS } from "../../src/ports/broker.ts";
import { job, several } from "../contracts/bench.ts";
import { ManualClock } from "../support/manual-runtime.ts";
import { RedisCluster, RedisSentinels, RedisServer, redisPath, sharedRedis } from "../support/redis-server.ts";
import { Parties } from "./redis-parties.ts";

const shared = await sharedRedis();

/** Everybody passes at this address, and no line of a log tells a password. */
async function expectPass(url: string, password?: string): Promise<void> {
  await using parties = await Parties.open(url);
  await parties.pass();
  expect(parties.journal.lines).toEqual([]);
  if (password !== undefined) expect(parties.api.link.connector.label).not.toContain(password);
}

describe.skipIf(redisPath === undefined)("work goes all its way over", () => {
  test("a password, also one that URLs encode", async () => {
    const password = "p/ss:w@rd%20?";
    await using server = await RedisServer.start({ password });
    await expectPass(server.url, password);
  });

  test("a user who may no more than is needed", async () => {
    const grants = ["~{test}:*", "&{test}:*", "+@all", "-@admin", "-@dangerous", "+info"];
    await shared.command("ACL", "SETUSER", "artel", "reset", "on", ">s3cret", ...grants);
    await expectPass(`redis://artel:s3cret@127.0.0.1:${shared.port}`, "s3cret");
  });

  test("TLS with an authority of its own", async () => {
    await using server = await RedisServer.start({ tls: true });
    await expectPass(`${server.url}/3?ca=${server.caFile}`);
  });

  test("a socket", async () => {
    await using server = await RedisServer.start({ unixSocket: true, password: "word" });
    await expectPass(`unix://:word@${server.socketPath}?db=2`);
  });

  test("Sentinels that have a password, to a master that has another", async () => {
    await using group = await RedisSentinels.start();
    for (const server of [group.master, group.replica]) await server.command("CONFIG", "SET", "requirepass", "w@rd");
    for (const sentinel of group.sentinels) await sentinel.command("ACL", "SETUSER", "default", "resetpass", ">s3ntinel");
    await expectPass(`${group.url.replace("//", "//:w%40rd@")}/2?sentinel_password=s3ntinel`, "s3ntinel");
  });

  test("Sentinels one of which takes connections and is silent", async () => {
    await using group = await RedisSentinels.start();
    group.sentinels[0]?.pause();
    await expectPass(group.url);
  });

  test("a cluster: every script runs there, and all keys lie on one node", async () => {
    await using cluster = await RedisCluster.start({ password: "s3cret" });
    const clock = new ManualClock();
    await using parties = await Parties.open(cluster.url.replace("//", "//:s3cret@"), { clock });
    await parties.pass();
    await parties.api.restrain({ limits: [{ name: "job", concurrency: 9 }], pausedTasks: [], pausedQueues: [] });
    const [reaped, left] = [job(), job({ owner: "ben" })];
    await parties.api.enqueue([reaped, left]);
    await parties.thread.claim({ worker: "dies", max: 1, tasks: ["job"], alone: false });
    clock.advance(LEASE_MS + 1);
    await parties.claim(1);
    expect(await parties.api.reap()).toBe(1);
    await parties.node.leave(parties.worker);
    expect(await parties.reader.kindsOf(reaped.id)).toEqual(["started", "lost"]);
    expect(await parties.reader.kindsOf(left.id)).toEqual(["started", "released"]);

    const hashes = Object.values(SCRIPTS).map(({ lua }) => createHash("sha1").update(lua).digest("hex"));
    const sizes = await Promise.all(cluster.nodes.map((node) => node.command("DBSIZE")));
    const known = await Promise.all(cluster.nodes.map((node) => node.command("SCRIPT", "EXISTS", ...hashes)));
    const home = sizes.findIndex((size) => size !== 0);
    expect(sizes.filter((size) => size === 0)).toHaveLength(2);
    expect(known[home]).toEqual(hashes.map(() => 1));
  });
});

describe.skipIf(redisPath === undefined)("two installations hear nothing of each other", () => {
  /** Both work, each deaf to the other; what comes over one connection comes in order, so what was to be heard has been. */
  async function expectApart(one: Parties, other: Parties): Promise<void> {
    const heard: string[] = [];
    const both = [one, other] as const;
    for (const [i, { api, node }] of both.entries()) {
      api.onProgress((reports) => heard.push(...reports.map(({ id }) => `${i} progress ${id}`)));
      node.onCancel((ids) => heard.push(...ids.map((id) => `${i} cancel ${id}`)));
    }
    for (let round = 0; round < 2; round += 1) for (const each of both) await each.pass();
    const of = (parties: Parties): Set<string> => new Set(parties.reader.seen.map(({ id }) => id));
    for (const [i, each] of both.entries()) {
      const told = heard.filter((line) => line.startsWith(`${i} `)).map((line) => line.split(" ")[2] ?? "");
      expect([...new Set(told)].sort()).toEqual([...of(each)].sort());
    }
    const jobs = several(3);
    await one.api.enqueue(jobs);
    expect(await other.claim(9)).toEqual([]);
    expect(await other.api.missing(jobs)).toEqual(jobs);
    expect(await one.claim(9)).toEqual(jobs);
    expect([...(await other.api.workers()), ...(await one.api.workers())]).toEqual([]);
  }

  test("in two namespaces of one server", async () => {
    await using one = await Parties.open(shared.url, { namespace: "one" });
    await using other = await Parties.open(shared.url, { namespace: "one.two", owner: "another" });
    await expectApart(one, other);
  });

  test("in two databases of one server, under one name", async () => {
    await using one = await Parties.open(`${shared.url}/1`, { namespace: "same" });
    await using other = await Parties.open(`${shared.url}/2`, { namespace: "same", owner: "another" });
    await expectApart(one, other);
  });
});

describe.skipIf(redisPath === undefined)("a server's own workers", () => {
  test("are told of work once it is there, for they ask on connections of their own", async () => {
    await using server = await RedisServer.start();
    await using parties = await Parties.open(server.url);
    const { api } = parties;
    const one = job();
    let told = 0;
    api.onWork(({ shared }) => {
      told += shared;
    });
    server.pause();
    const sent = api.enqueue([one]);
    const claimed = parties.claim(1);
    expect(told).toBe(0);
    server.resume();
    await sent;
    expect(told).toBeGreaterThan(0);
    expect([...(await claimed), ...(await parties.claim(1))]).toEqual([one]);
  });
});
