import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { Cluster, Redis } from "ioredis";
import { childrenOf, gone, hasProc } from "../support/artel-process.ts";
import { RedisCluster, RedisSentinels, RedisServer, redisPath, sharedRedis } from "../support/redis-server.ts";
import { eventually } from "../support/waiting.ts";

if (redisPath === undefined) console.log("redis-server not found: the tests against a real Redis are left out");

const shared = await sharedRedis();

describe.skipIf(redisPath === undefined)("a redis-server for tests", () => {
  test("answers at its URL and its socket, with its password only, and stops more than once", async () => {
    await using server = await RedisServer.start({ unixSocket: true, password: "p/ss:w@rd" });
    for (const client of [new Redis(server.url), new Redis(server.socketPath, { password: "p/ss:w@rd" })]) {
      expect(await client.ping()).toBe("PONG");
      client.disconnect();
    }
    const stranger = new Redis(server.port, "127.0.0.1").on("error", () => {});
    await expect(stranger.ping()).rejects.toThrow("NOAUTH");
    stranger.disconnect();
    await server.stop();
    await server.stop();
    expect(existsSync(server.directory)).toBe(false);
    await expect(server.command("PING")).rejects.toThrow("ECONNREFUSED");
  });

  test("has lost nothing after a kill in the middle, and is back on the same port", async () => {
    await using server = await RedisServer.start({ persist: true });
    const { pid, port } = server;
    await server.command("SET", "kept", "value");
    await server.kill();
    expect(server.running).toBe(false);
    await server.restart();
    expect(server).toMatchObject({ port, running: true });
    expect(server.pid).not.toBe(pid);
    expect(await server.command("GET", "kept")).toBe("value");
  });

  test("answers late when it was paused", async () => {
    await using server = await RedisServer.start();
    server.pause();
    const order: string[] = [];
    const late = server.command("PING").then(() => order.push("paused"));
    await shared.command("PING");
    order.push("other");
    server.resume();
    await late;
    expect(order).toEqual(["other", "paused"]);
  });

  test("takes other ports when one was taken meanwhile, but not for ever", async () => {
    const busPorts = [shared.port];
    const kind = {
      ready: /Ready to accept connections/,
      args: (ports: { busPort: number }) => ["--cluster-enabled", "yes", "--cluster-port", `${busPorts.pop() ?? ports.busPort}`],
    };
    await using server = await RedisServer.start({}, kind);
    expect(busPorts).toEqual([]);
    expect(await server.command("PING")).toBe("PONG");
    await expect(RedisServer.start({ args: ["--port", `${shared.port}`] })).rejects.toThrow("Address already in use");
  });

  test("speaks TLS with those who trust its authority", async () => {
    await using server = await RedisServer.start({ tls: true });
    expect(server.url).toBe(`rediss://127.0.0.1:${server.port}`);
    const trusting = new Redis(server.url, { tls: { ca: await Bun.file(server.caFile).text() } });
    expect(await trusting.ping()).toBe("PONG");
    trusting.disconnect();
    const { promise, resolve } = Promise.withResolvers<Error & { code?: string }>();
    const other = new Redis(server.url).on("error", resolve);
    expect((await promise).code).toMatch(/^(UNABLE_TO_VERIFY_LEAF_SIGNATURE|SELF_SIGNED_CERT_IN_CHAIN)$/);
    other.disconnect();
  });
});

describe.skipIf(redisPath === undefined)("several of them", () => {
  test("are a cluster, ready for every slot", async () => {
    await using cluster = await RedisCluster.start();
    const client = new Cluster(cluster.nodes.map(({ port }) => `redis://127.0.0.1:${port}`));
    const keys = Array.from({ length: 30 }, (_, index) => `key ${index}`);
    await Promise.all(keys.map((key) => client.set(key, key)));
    expect(await Promise.all(keys.map((key) => client.get(key)))).toEqual(keys);
    client.disconnect();
    const sizes = await Promise.all(cluster.nodes.map((node) => node.command("DBSIZE")));
    expect(sizes.every((size) => Number(size) > 0)).toBe(true);
    expect(cluster.url).toMatch(/^redis\+cluster:\/\/(127\.0\.0\.1:\d+,){2}127\.0\.0\.1:\d+$/);
  });

  test("stand behind Sentinels, which make the replica master, and the old master its replica", async () => {
    await using group = await RedisSentinels.start();
    expect(group.url).toMatch(/^redis\+sentinel:\/\/(127\.0\.0\.1:\d+,){2}127\.0\.0\.1:\d+\/mymaster$/);
    expect(await group.sentinels[0]?.command("SENTINEL", "CKQUORUM", "mymaster")).toStartWith("OK 3 usable Sentinels");
    expect(await group.replica.command("INFO", "replication")).toContain("master_link_status:up");
    await group.master.kill();
    await group.failedOver();
    const client = new Redis({ name: "mymaster", sentinels: group.sentinels.map(({ connection }) => connection) });
    await client.set("key", "value");
    client.disconnect();
    expect(await group.replica.command("GET", "key")).toBe("value");
    await group.master.restart();
    await group.master.says(/MASTER <-> REPLICA sync: Finished with success/);
    expect(await group.master.command("GET", "key")).toBe("value");
  });
});

describe.skipIf(redisPath === undefined || !hasProc)("no redis-server stays behind", () => {
  test("after its end, nor what guards it", async () => {
    const server = await RedisServer.start();
    const guards = childrenOf(server.pid);
    expect(guards).toHaveLength(1);
    await server.stop();
    await gone([server.pid, ...guards]);
  });

  test("when the test's process is killed, not even a paused one", async () => {
    const script = `
      import { RedisServer } from ${JSON.stringify(join(import.meta.dir, "../support/redis-server.ts"))};
      const servers = [await RedisServer.start(), await RedisServer.start()];
      servers[0].pause();
      await Bun.write(Bun.stdout, JSON.stringify(servers.map(({ pid, directory }) => ({ pid, directory }))));
      process.kill(process.pid, "SIGKILL");`;
    const child = Bun.spawn([process.execPath, "-e", script], { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
    const servers = JSON.parse(await new Response(child.stdout).text()) as { pid: number; directory: string }[];
    await child.exited;
    expect(child.signalCode).toBe("SIGKILL");
    await gone(servers.map(({ pid }) => pid));
    for (const { directory } of servers) {
      await eventually(() => (existsSync(directory) ? undefined : true), "the end of its directory");
    }
  });
});
