import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { Cluster, type RedisOptions } from "ioredis";
import { connector, RedisUrlError } from "../../src/drivers/redis/url.ts";

/** Where a connection to this address would lead; it is given up before it is made. */
function read(url: string): RedisOptions & { readonly nodes?: unknown } {
  const client = connector(url)
    .connect("test")
    .on("error", () => {});
  client.disconnect();
  if (!(client instanceof Cluster)) return client.options;
  const { startupNodes, options } = client as unknown as { startupNodes: unknown; options: { redisOptions: RedisOptions } };
  return { ...options.redisOptions, nodes: startupNodes };
}

function refused(url: string): string {
  try {
    connector(url);
  } catch (error) {
    expect(error).toBeInstanceOf(RedisUrlError);
    return (error as Error).message;
  }
  throw new Error(`${url} was taken`);
}

const NOBODY = { username: null, password: null };

describe("a Redis URL", () => {
  test.each([
    ["redis://10.0.0.5", { host: "10.0.0.5", port: 6379, db: 0, ...NOBODY }],
    ["redis://10.0.0.5/", { host: "10.0.0.5", port: 6379, db: 0 }],
    ["redis://cache.example:7000/3", { host: "cache.example", port: 7000, db: 3 }],
    ["redis://[::1]", { host: "::1", port: 6379 }],
    ["redis://[2001:db8::7]:7000/1", { host: "2001:db8::7", port: 7000, db: 1 }],
    ["redis://:word@10.0.0.5", { host: "10.0.0.5", username: null, password: "word" }],
    ["redis://ann:word@[::1]:7000/2", { host: "::1", port: 7000, username: "ann", password: "word", db: 2 }],
    ["redis://a%40b:%3A%2F%3F%23%40%25@10.0.0.5", { host: "10.0.0.5", username: "a@b", password: ":/?#@%" }],
    ["redis://:a:b/c@d@10.0.0.5/4", { host: "10.0.0.5", password: "a:b/c@d", db: 4 }],
    ["redis://:@10.0.0.5", { host: "10.0.0.5", username: null, password: "" }],
    ["unix:///run/redis.sock", { path: "/run/redis.sock", db: 0, ...NOBODY }],
    ["unix://ann:word@/run/a@b.sock?db=5", { path: "/run/a@b.sock", username: "ann", password: "word", db: 5 }],
    ["/run/redis.sock", { path: "/run/redis.sock", db: 0 }],
    ["/run/redis.sock?db=2", { path: "/run/redis.sock", db: 2 }],
  ] as const)("%s", (url, expected) => {
    expect(read(url)).toMatchObject(expected);
    expect(read(url).tls).toBeUndefined();
  });

  test("with Sentinels names them, the master and the passwords of both", () => {
    expect(read("redis+sentinel://ann:word@127.0.0.1,[::1]:7000/main/3?sentinel_password=an%40other")).toMatchObject({
      sentinels: [
        { host: "127.0.0.1", port: 26379 },
        { host: "::1", port: 7000 },
      ],
      name: "main",
      db: 3,
      username: "ann",
      password: "word",
      sentinelPassword: "an@other",
    });
    expect(read("redis+sentinel://127.0.0.1/main")).toMatchObject({ name: "main", db: 0, password: null });
  });

  test("of a cluster names nodes of it", () => {
    const { nodes, ...options } = read("redis+cluster://ann:word@127.0.0.1,127.0.0.2:7000/0");
    expect(nodes).toEqual([
      { host: "127.0.0.1", port: 6379 },
      { host: "127.0.0.2", port: 7000 },
    ]);
    expect(options).toMatchObject({ username: "ann", password: "word" });
  });

  test("with TLS trusts the authorities of the system, or one of its own", () => {
    const folder = mkdtempSync(join(tmpdir(), "artel-ca-"));
    const ca = join(folder, "ca.pem");
    writeFileSync(ca, "an authority");
    expect(read("rediss://10.0.0.5").tls).toEqual({});
    expect(read(`rediss://10.0.0.5?ca=${ca}`).tls).toEqual({ ca: "an authority" });
    expect(read(`rediss+cluster://127.0.0.1?ca=${ca}`).tls).toEqual({ ca: "an authority" });
    expect(read(`rediss+sentinel://127.0.0.1/main?ca=${ca}`)).toMatchObject({
      tls: { ca: "an authority" },
      enableTLSForSentinelMode: true,
      sentinelTLS: { ca: "an authority" },
    });
    rmSync(folder, { recursive: true });
    expect(refused(`rediss://:s3cret@10.0.0.5?ca=${ca}`)).toMatch(/^cannot read the certificate authority: .*ca\.pem/);
  });

  test("is shown without user and password", () => {
    const shown = [
      "redis://10.0.0.5:6379",
      "redis://[::1]:7000/2",
      "rediss://cache.example:6379",
      "redis+sentinel://10.0.0.5:26379,10.0.0.6:7000/main/3",
      "rediss+cluster://10.0.0.5:6379,[::1]:7000",
      "unix:///run/redis.sock",
    ];
    for (const label of shown) {
      expect(connector(label).label).toBe(label);
      const query = label.includes("sentinel") ? "?sentinel_password=s3cret" : "";
      expect(connector(label.replace("//", "//ann:s3cret@") + query).label).toBe(label);
    }
    expect(connector("/run/redis.sock?db=3")).toMatchObject({ label: "unix:///run/redis.sock", database: 3 });
  });

  test("holds any user and password, percent-encoded", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", minLength: 1 }), fc.string({ unit: "grapheme" }), (username, password) => {
        const url = `redis://${encodeURIComponent(username)}:${encodeURIComponent(password)}@10.0.0.5/7`;
        expect(read(url)).toMatchObject({ host: "10.0.0.5", port: 6379, db: 7, username, password });
        expect(connector(url).label).toBe("redis://10.0.0.5:6379/7");
      }),
      { numRuns: 50 },
    );
  });

  test.each([
    ["localhost:6379", /"localhost:6379" is no Redis URL: redis:\/\/HOST:PORT/],
    ["http://10.0.0.5", /"http:\/\/10\.0\.0\.5" is no Redis URL/],
    ["ann:s3cret@10.0.0.5", /"…" is no Redis URL/],
    ["http://ann:s3cret@10.0.0.5/s3cret", /"http:\/\/…" is no Redis URL/],
    ["10.0.0.5?sentinel_password=s3cret", /"…" is no Redis URL/],
    ["", /"" is no Redis URL/],
    ["redis://", /names a host and a port/],
    ["redis:///1", /names a host and a port/],
    ["redis://:s3cret@", /names a host and a port/],
    ["redis://ann:s3cret", /names a host and a port/],
    ["redis://:s3cret?@10.0.0.5", /names a host and a port/],
    ["redis://::1", /names a host and a port/],
    ["redis://10.0.0.5:0", /names a host and a port/],
    ["redis://10.0.0.5:65536", /names a host and a port/],
    ["redis://:s3cret@10.0.0.5:port", /names a host and a port/],
    ["redis+cluster://10.0.0.5,,10.0.0.6", /names a host and a port/],
    ["redis://:s3cret@10.0.0.5,10.0.0.6", /several hosts are a cluster or Sentinels/],
    ["redis://s3cret@10.0.0.5", /a user has a password too/],
    ["redis://ann:s3cret%@10.0.0.5", /a percent sign is written %25/],
    ["redis://s3cret%zz:word@10.0.0.5", /a percent sign is written %25/],
    ["redis://:s3cret@10.0.0.5/first", /"first" is no number of a Redis database/],
    ["redis://:s3cret@10.0.0.5/1/2", /"1\/2" is no number/],
    ["redis://:s3cret@10.0.0.5/-1", /"-1" is no number/],
    ["redis+sentinel://:s3cret@10.0.0.5?sentinel_password=s3cret", /ends in the master's name/],
    ["redis+sentinel://:s3cret@10.0.0.5/main/x", /"x" is no number/],
    ["redis+cluster://:s3cret@10.0.0.5/1", /no database but number 0/],
    ["unix://run/redis.sock", /named by its whole path/],
    ["unix://:s3cret@", /named by its whole path/],
    ["unix:///", /named by its whole path/],
    ["unix://:s3cret@/run/redis.sock?db=x", /"x" is no number/],
    ["/", /named by its whole path/],
  ] as const)("%p is refused, and tells no password", (url, reason) => {
    const message = refused(url);
    expect(message).toMatch(reason);
    expect(message).not.toContain("s3cret");
    expect(message).not.toContain("\n");
  });
});
