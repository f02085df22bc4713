import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { Place } from "../support/artel-process.ts";
import { SmallDisk, whyNoDisks } from "../support/disk.ts";
import { ownRedis } from "../support/e2e-site.ts";
import { RedisServer } from "../support/redis-server.ts";
import { LIMIT_MS } from "../support/waiting.ts";

setDefaultTimeout(LIMIT_MS);

interface Finding {
  readonly check: string;
  readonly state: "ok" | "warning" | "problem";
  readonly detail: string;
}

/** What it finds, by check; fails where its exit code does not fit. */
async function findings(place: Place, args: readonly string[] = [], env: Record<string, string> = {}) {
  const { code, stdout, stderr } = await place.run(["doctor", "--json", ...args], env);
  const all = JSON.parse(stdout) as Finding[];
  const problems = all.filter(({ state }) => state === "problem").map(({ check }) => check);
  expect(code).toBe(problems.length > 0 ? 1 : 0);
  expect(stderr).toBe(problems.length > 0 ? `artel: problems with ${problems.join(", ")}: the report says what to do\n` : "");
  return Object.fromEntries(all.map(({ check, state, detail }) => [check, `${state}: ${detail}`]));
}

describe("doctor", () => {
  test.concurrent("a line for each check, beside a server and without one; it changes nothing", async () => {
    await using place = await Place.make();
    const before = place.contents();
    expect((await findings(place))["data directory"]).toMatch(/^warning: .* is not there: artel serve makes it/);
    expect(place.contents()).toEqual(before);

    const served = await place.serve(["--threads", "0"]);
    const beside = await findings(place);
    expect(beside).toMatchObject({
      server: "ok: one runs on this data directory",
      secret: "ok: in the data directory",
      migrations: "ok: all are applied",
    });
    expect(Object.values(beside).every((text) => text.startsWith("ok: "))).toBe(true);
    await served.process.end();
    expect((await findings(place))["server"]).toBe("ok: none runs");

    const { code, stdout } = await place.run(["doctor"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^(ok {7}[a-z]+ ?[a-z]* +\S.*\n)+$/);
    expect(stdout.trimEnd().split("\n")).toHaveLength(Object.keys(beside).length);
    expect((await place.run(["doctor", "more"])).code).toBe(2);
    expect((await place.run(["doctor", "--redis", "http://x"])).code).toBe(2);
  });

  test.concurrent("what is wrong with the data is told with what to do", async () => {
    await using place = await Place.make();
    await place.run(["user", "create", "ada@example.com"], {}, "correct horse battery");
    await place.run(["user", "token", "ada@example.com"]);
    await place.run(["migrate", "down"]);
    chmodSync(place.path("data"), 0o755);
    chmodSync(place.path("data/secret"), 0o644);
    const inAnHour = Date.now() / 1_000 + 3_600;
    utimesSync(place.path("data/artel.db"), inAnHour, inAnHour);
    expect(await findings(place)).toMatchObject({
      "data directory": expect.stringMatching(/^warning: .* mode 755.*chmod 700/),
      secret: expect.stringMatching(/^warning: .*chmod 600/),
      migrations: expect.stringMatching(/^warning: pending: \d{4}_\w+; artel serve applies them/),
      clock: expect.stringMatching(/^warning: .*the clock has gone back/),
    });
    expect((await findings(place, [], { ARTEL_SECRET: "short" }))["secret"]).toStartWith("problem: ARTEL_SECRET");
    const file = place.path("data/artel.db");
    writeFileSync(file, readFileSync(file).fill(0xff, 8_192));
    expect((await findings(place))["database"]).toMatch(/^problem: .*restore a backup/);
    place.write({ file: "" });
    expect((await findings(place, ["--data", "file"]))["data directory"]).toMatch(/^problem: .* is no directory/);
  });

  test.concurrent.skipIf(whyNoDisks() !== undefined)("a disk that is nearly full", async () => {
    await using place = await Place.make();
    using _disk = SmallDisk.mount(place.path("data"), 8 * 1_024);
    await place.run(["migrate", "up"]);
    expect((await findings(place))["free space"]).toMatch(/^problem: \d MiB: .*make room/);
  });

  test.concurrent("few open files", async () => {
    await using place = await Place.make();
    const child = Bun.spawn(["sh", "-c", 'ulimit -n 1000; exec "$0" doctor', place.program], {
      cwd: place.folder,
      stdout: "pipe",
    });
    expect(await child.stdout.text()).toMatch(/^warning {2}open files +1000 at most/m);
  });
});

describe.skipIf(!ownRedis)("doctor on Redis", () => {
  test.concurrent("is it there, may it be used, does it keep what it is given, whose is the namespace", async () => {
    await using place = await Place.make();
    await using redis = await RedisServer.start({ password: "secret-word" });
    const look = async (url = redis.url, ...more: string[]) => (await findings(place, ["--redis", url, ...more]))["redis"];
    expect(await look()).toMatch(/^ok: redis:\/\/\S+, version \d\S+, namespace artel$/);
    expect(await look()).not.toContain("secret-word");
    expect(await look(redis.url.replace("secret-word", "another"))).toMatch(/^problem: .*password/);
    await redis.command("SET", "{artel}:owner", "somebody");
    await place.run(["migrate", "up"]);
    expect(await look()).toMatch(/^problem: the namespace artel belongs to another data directory/);
    expect(await look(redis.url, "--namespace", "mine")).toStartWith("ok: ");
    await redis.command("CONFIG", "SET", "maxmemory", "100mb");
    await redis.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru");
    expect(await look(redis.url, "--namespace", "mine")).toMatch(/^warning: .*allkeys-lru.*noeviction/);
    await redis.command("REPLICAOF", "127.0.0.1", 1);
    expect(await look()).toMatch(/^problem: .*read-only replica/);
    await redis.kill();
    expect(await look()).toMatch(/^problem: .*ECONNREFUSED/);
  });
});
