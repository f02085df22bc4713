import { describe, expect, test } from "bun:test";
import { StartupError } from "../../src/domain/errors.ts";
import type { RedisBroker } from "../../src/drivers/redis/broker.ts";
import { job } from "../contracts/bench.ts";
import { RedisCluster, RedisSentinels, RedisServer, redisPath, sharedRedis } from "../support/redis-server.ts";
import { eventually, PATIENCE_MS } from "../support/waiting.ts";
import { type Answer, FakeRedis } from "./fake-redis.ts";
import { done, Journal, type OpenOptions, openBroker, Parties, usable } from "./redis-parties.ts";
import { AWAY, BACK } from "./redis-scene.ts";

const shared = await sharedRedis();

/** A broker that is on its way in, with what it says of that. */
class Door implements AsyncDisposable {
  readonly journal = new Journal();
  readonly broker: RedisBroker;

  constructor(url: string, options: Omit<OpenOptions, "journal"> = { owner: "data" }) {
    this.broker = openBroker(url, { ...options, journal: this.journal });
  }

  /** Stands before it, and says why in one line: what stays wrong it says as an error of the start. */
  async expectShut(reason: string | RegExp, stays: boolean): Promise<void> {
    const { broker, journal } = this;
    await broker.link.verdict(PATIENCE_MS);
    await journal.says(AWAY);
    expect(broker.trouble()).toMatch(reason);
    expect(journal.lines).toHaveLength(1);
    expect(journal.lines[0]).toStartWith("warn ");
    const { fatal } = broker.link;
    if (!stays) return expect(fatal).toBeUndefined();
    expect(fatal).toBeInstanceOf(StartupError);
    expect(fatal?.code).toBe("redis_refused");
    expect(fatal?.message).toBe(`cannot use ${broker.link.connector.label}: ${broker.trouble()}`);
    expect(fatal?.message).not.toContain("\n");
  }

  /** It was told once however often it was tried, and no password with it. */
  expectSilence(...secrets: readonly string[]): void {
    expect(this.journal.of(AWAY)).toHaveLength(1);
    const told = [...this.journal.lines, this.broker.trouble(), this.broker.link.fatal?.message].join("\n");
    for (const secret of secrets) expect(told).not.toContain(secret);
  }

  async expectOpen(): Promise<void> {
    await usable(this.broker);
    expect(this.broker.link.fatal).toBeUndefined();
    expect(this.journal.of(BACK)).toEqual([]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.broker.stop();
  }
}

/** Waits until the server has refused so often for this reason. */
async function refusals(server: RedisServer, code: string, count: number): Promise<void> {
  await eventually(async () => {
    const stats = String(await server.command("INFO", "errorstats"));
    const found = Number(new RegExp(`errorstat_${code}:count=(\\d+)`).exec(stats)?.[1] ?? 0);
    return found >= count || undefined;
  }, `${count} times ${code}`);
}

/** All that a server holds of one namespace. */
async function kept(server: RedisServer, namespace: string): Promise<unknown> {
  const keys = (await server.command("KEYS", `{${namespace}}*`)) as string[];
  return await Promise.all(keys.sort().map(async (key) => [key, await server.command("DUMP", key)]));
}

describe
  .skipIf(redisPath === undefined)
  .concurrent("at the door of a Redis: whoever may not enter says why, once, and looks again", () => {
    test("with a wrong password, until that is the right one", async () => {
      await using server = await RedisServer.start({ password: "right" });
      await using door = new Door(`redis://:wr0ng@127.0.0.1:${server.port}`);
      await door.expectShut("wrong user name or password", true);
      await refusals(server, "WRONGPASS", 4);
      door.expectSilence("wr0ng");
      await server.command("ACL", "SETUSER", "default", ">wr0ng");
      await door.expectOpen();
    });

    test("without a password, and with an unknown user", async () => {
      await using server = await RedisServer.start({ password: "right" });
      await using door = new Door(`redis://127.0.0.1:${server.port}`);
      await door.expectShut(/asks for a password: put it into the URL/, true);
      await refusals(server, "NOAUTH", 4);
      door.expectSilence("right");
      await using other = new Door(`redis://nobody:s3cret@127.0.0.1:${server.port}`);
      await other.expectShut("wrong user name or password", true);
      other.expectSilence("s3cret", "nobody");
    });

    test.each([
      ["the keys", ["~another:*", "&*", "+@all"], /may not do what Artel needs: .*keys/],
      ["a command", ["~*", "&*", "+@all", "-info"], /may not do what Artel needs: .*command/],
    ])("with a user who may not have %s, until he may", async (_, grants, reason) => {
      await using server = await RedisServer.start();
      await server.command("ACL", "SETUSER", "artel", "on", ">s3cret", "resetchannels", ...grants);
      await using door = new Door(`redis://artel:s3cret@127.0.0.1:${server.port}`);
      await door.expectShut(reason, true);
      door.expectSilence("s3cret");
      expect(door.broker.trouble()).not.toContain("user_script");
      await server.command("ACL", "SETUSER", "artel", "~*", "&*", "+@all");
      await door.expectOpen();
    });

    test("of a read-only replica, without knocking hard, until it is the master", async () => {
      await using replica = await RedisServer.start({ args: ["--replicaof", "127.0.0.1", `${shared.port}`] });
      await using door = new Door(replica.url);
      await door.expectShut("it is a read-only replica", false);
      const ids = async (): Promise<string[]> =>
        String(await replica.command("CLIENT", "LIST")).match(/^id=\d+(?=.* name=artel )/gm) ?? [];
      const before = await ids();
      expect(before).toHaveLength(1);
      await refusals(replica, "READONLY", 3);
      expect(await ids()).toEqual(before);
      door.expectSilence();
      await replica.command("REPLICAOF", "NO", "ONE");
      await door.expectOpen();
    });

    test("with a database number that there is not; nothing happens in another one", async () => {
      await using server = await RedisServer.start();
      await using door = new Door(`${server.url}/16`);
      await door.expectShut("it has no database of that number", true);
      await refusals(server, "ERR", 4);
      door.expectSilence();
      expect(await server.command("INFO", "keyspace")).not.toContain("db0");
    });

    test("of a namespace that belongs to another data directory: nothing changes there", async () => {
      await using parties = await Parties.open(shared.url, { namespace: "owned", owner: "first" });
      const before = await kept(shared, "owned");
      await using door = new Door(shared.url, { namespace: "owned", owner: "second" });
      await door.expectShut("the namespace belongs to another data directory: give this server a --namespace of its own", true);
      door.expectSilence();
      await door.broker.enqueue([job()]);
      expect(await kept(shared, "owned")).toEqual(before);
      await parties.pass();
    });

    test("of a namespace that another data directory has taken while Redis had forgotten whose it was", async () => {
      await using server = await RedisServer.start();
      await using door = new Door(server.url, { owner: "first" });
      await door.expectOpen();
      await server.command("FLUSHALL");
      await using second = new Door(server.url, { owner: "second" });
      await second.expectOpen();
      await door.broker.enqueue([job()]);
      await door.journal.says(AWAY);
      expect(door.broker.trouble()).toContain("belongs to another data directory");
      expect(await second.broker.claim({ worker: "w", max: 1, tasks: ["job"], alone: false })).toHaveLength(1);
      await expect(door.broker.missing([job()])).rejects.toMatchObject({ code: "redis_unavailable" });
    });

    test("of one that is still loading its data", async () => {
      const slow = [
        "--enable-debug-command",
        "yes",
        "--key-load-delay",
        "250",
        "--loading-process-events-interval-bytes",
        "1024",
      ];
      await using server = await RedisServer.start({ args: slow });
      await server.command("DEBUG", "POPULATE", 4_000, "key", 100);
      await server.command("SAVE");
      await server.kill();
      const loaded = server.restart();
      await server.says(/Server initialized/);
      await using door = new Door(server.url);
      await door.journal.says(/it is still loading its data/);
      expect(door.broker.link.fatal).toBeUndefined();
      await loaded;
      await door.expectOpen();
      expect(door.journal.of(/still loading/)).toHaveLength(1);
    });

    test("where nobody is, until somebody comes", async () => {
      await using server = await RedisServer.start();
      await server.kill();
      await using door = new Door(server.url);
      await door.expectShut(/^connect ECONNREFUSED/, false);
      await server.restart();
      await door.expectOpen();
      door.expectSilence();
    });

    test("which leads to no Redis", async () => {
      using website = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("welcome") });
      await using door = new Door(`redis://:s3cret@127.0.0.1:${website.port}`);
      await door.expectShut("what answers there is no Redis", false);
      door.expectSilence("s3cret");
      await using socket = new Door(`${shared.directory}/nowhere.sock`);
      await socket.broker.link.verdict(PATIENCE_MS);
      expect(socket.broker.trouble()).toMatch(/^connect ENOENT/);
    });
  });

describe.skipIf(redisPath === undefined)("at a door with TLS", () => {
  test.each([
    ["whose authority is unknown", (port: number) => `rediss://127.0.0.1:${port}`, /certificate|CERT/],
    [
      "under a name that the certificate does not hold",
      (port: number, ca: string) => `rediss://127.0.0.2:${port}?ca=${ca}`,
      /127\.0\.0\.2/,
    ],
  ])("%s nobody enters", async (_, address, reason) => {
    await using server = await RedisServer.start({ tls: true, args: ["--bind", "127.0.0.1", "127.0.0.2"] });
    await using door = new Door(address(server.port, server.caFile));
    await door.expectShut(reason, false);
  });

  test("a URL without it does not lead in, nor one with it to a server without", async () => {
    await using server = await RedisServer.start({ tls: true });
    for (const url of [`redis://127.0.0.1:${server.port}`, `rediss://127.0.0.1:${shared.port}?ca=${server.caFile}`]) {
      await using door = new Door(url);
      await door.journal.says(AWAY);
      expect(door.broker.trouble()).toBeString();
      expect(door.broker.link.ready).toBe(false);
    }
  });
});

/** Answers like a server of this version to what is asked before any work. */
const version =
  (text: string) =>
  ([name = "", ...args]: readonly string[]): Answer | undefined => {
    const info = `# Server\r\nredis_version:${text}\r\nrun_id:abc\r\nrole:master\r\nmaxmemory:0\r\n`;
    if (name === "HELLO") return `-ERR unknown command \`HELLO\`, with args beginning with: \`${args[0]}\`,`;
    if (name === "EVAL" || name === "EVALSHA") return ["an epoch", "", info, "0-0"];
    return "+OK";
  };

describe.concurrent("at the door of a server", () => {
  test.each(["5.0.14", "6.0.16"])("of version %s, which is too old: says so, asks for nothing, and looks again", async (old) => {
    using server = new FakeRedis(version(old));
    await using door = new Door(server.url);
    await door.expectShut(`it is Redis ${old}, and Artel needs 6.2 or later`, true);
    await door.broker.enqueue([job()]);
    const greetings = () => server.commands.filter(([name]) => name === "EVAL" || name === "EVALSHA");
    await server.until(() => greetings().length === 2);
    expect(greetings().every((greeting) => greeting.length === 8)).toBe(true);
    door.expectSilence();
  });

  test.each(["6.2.0", "7.4.1", "255.255.255"])("of version %s: enters", async (good) => {
    using server = new FakeRedis(version(good));
    await using door = new Door(server.url);
    await door.expectOpen();
    expect(door.journal.lines).toEqual([]);
  });

  test("that never answers: says so after a while", async () => {
    using server = new FakeRedis(() => undefined);
    await using door = new Door(`${server.url.replace("//", "//:s3cret@")}`);
    expect(door.broker.trouble()).toBe("not connected yet");
    await door.expectShut("it does not answer", false);
    await server.until(() => server.connections > 1);
    door.expectSilence("s3cret");
  });

  test("that hangs up: says so once", async () => {
    let connections = 0;
    const { promise, resolve } = Promise.withResolvers<void>();
    const open = (socket: Bun.Socket<undefined>): void => {
      connections += 1;
      if (connections === 5) resolve();
      socket.end();
    };
    const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { open, data() {} } });
    await using door = new Door(`redis://127.0.0.1:${listener.port}`);
    await promise;
    expect(door.broker.link.ready).toBe(false);
    expect(new Set(door.journal.lines).size).toBe(door.journal.lines.length);
    expect(door.journal.lines.length).toBeLessThanOrEqual(2);
    listener.stop(true);
  });
});

describe.skipIf(redisPath === undefined).concurrent("at the doors of several servers", () => {
  test("Sentinels that are not there, do not know the master, or have a password", async () => {
    await using nobody = new Door("redis+sentinel://:s3cret@127.0.0.1:1,127.0.0.1:2/main");
    await nobody.expectShut("no Sentinel answers", false);
    await using group = await RedisSentinels.start();
    await using unknown = new Door(group.url.replace("mymaster", "another"));
    await unknown.expectShut("its Sentinels know no master of that name", true);
    for (const sentinel of group.sentinels) await sentinel.command("ACL", "SETUSER", "default", "resetpass", ">word");
    await using wrong = new Door(`${group.url}?sentinel_password=s3cret`);
    await wrong.expectShut(/Sentinels ask for another password.*sentinel_password=PASSWORD/, true);
    // Waits between tries are half a second at most; of all that is tried until it works once, there is one line.
    await using right = new Door(`${group.url}?sentinel_password=word`);
    await right.expectOpen();
    for (const door of [nobody, unknown, wrong]) door.expectSilence("s3cret");
  });

  test("a cluster that is not there, or has a password", async () => {
    await using nobody = new Door("redis+cluster://:s3cret@127.0.0.1:1,127.0.0.1:2");
    await nobody.expectShut("no node of the cluster answers", false);
    await using cluster = await RedisCluster.start({ password: "right" });
    await using wrong = new Door(cluster.url.replace("//", "//:s3cret@"));
    await wrong.expectShut("wrong user name or password", true);
    await using none = new Door(cluster.url);
    await none.expectShut(/asks for a password/, true);
    for (const door of [nobody, wrong, none]) door.expectSilence("s3cret", "right");
  });
});

describe.skipIf(redisPath === undefined)("inside", () => {
  test("a server that throws data away is warned of, once, and used", async () => {
    await using server = await RedisServer.start({ args: ["--maxmemory", "200mb", "--maxmemory-policy", "allkeys-lru"] });
    await using parties = await Parties.open(server.url);
    await parties.pass();
    const ready = parties.nextReady();
    await server.command("CLIENT", "KILL", "TYPE", "normal");
    await ready;
    await parties.pass();
    const warnings = parties.journal.of(/throws data away/);
    expect(warnings).toEqual([expect.stringMatching(/^warn .*maxmemory-policy to noeviction \{"policy":"allkeys-lru"\}$/)]);
  });

  test("whoever stops waits for nothing, and says nothing more", async () => {
    await using server = await RedisServer.start();
    const door = new Door(server.url);
    await door.expectOpen();
    await server.kill();
    const settled = door.broker.settle("w", [done(job())]).catch((error: { code: string }) => error.code);
    await door.journal.says(AWAY);
    await door.broker.stop();
    await door.broker.stop();
    expect(await settled).toBe("redis_unavailable");
    const lines = [...door.journal.lines];
    await door.broker.enqueue([job()]);
    await server.restart();
    expect(await server.command("CLIENT", "LIST")).not.toContain("name=artel");
    expect(door.journal.lines).toEqual(lines);
  });
});
