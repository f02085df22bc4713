import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { type Ended, lines } from "../support/artel-process.ts";
import { Client } from "../support/e2e-client.ts";
import { ownRedis, Site } from "../support/e2e-site.ts";
import { View } from "../support/e2e-view.ts";
import { LIMIT_MS } from "../support/waiting.ts";

setDefaultTimeout(LIMIT_MS);

/** All that a Redis holds. */
async function kept({ redis }: Site): Promise<Record<string, unknown>> {
  const keys = (await redis.command("KEYS", "*")) as string[];
  return Object.fromEntries(await Promise.all(keys.map(async (key) => [key, await redis.command("DUMP", key)])));
}

/** Starts a server that must end with 1, one line, and nothing changed, neither here nor in Redis. */
async function expectRefused(site: Site, args: readonly string[], ...named: readonly string[]): Promise<Ended> {
  const before = [site.place.contents(), await kept(site)];
  const ended = await site.place.run(["serve", "--port", "0", ...args]);
  expect([ended.code, ended.stdout, lines(ended.stderr).length, ended.stderr]).toEqual([
    1,
    "",
    1,
    expect.stringContaining(named[0] ?? ""),
  ]);
  for (const name of named) expect(ended.stderr).toContain(name);
  expect([site.place.contents(), await kept(site)]).toEqual(before);
  return ended;
}

describe.skipIf(!ownRedis)("serve --redis is refused, and changes nothing", () => {
  test("where the password is missing or wrong, before and after it has served", async () => {
    await using site = await Site.make({ password: "right" });
    const bare = `redis://127.0.0.1:${site.redis.port}`;
    const refuse = async (): Promise<void> => {
      await expectRefused(site, ["--redis", bare], bare, "password");
      const { stderr } = await expectRefused(site, ["--redis", bare.replace("//", "//:wrong-one@")], bare, "password");
      expect(stderr).not.toContain("wrong-one");
    };
    await refuse();
    expect(existsSync(site.place.path("data"))).toBe(false);
    await (await site.serve()).process.end();
    await refuse();
    await site.serve();
  });

  test("where the namespace belongs to another data directory, new or not", async () => {
    await using site = await Site.make();
    const { process } = await site.serve(["--data", "first"]);
    const args = ["--redis", site.redis.url, "--data", "second"];
    await expectRefused(site, args, "namespace artel", "another data directory", "--namespace");
    expect(existsSync(site.place.path("second"))).toBe(false);
    await process.end();
    await expectRefused(site, args, "another data directory");

    const other = await site.serve(["--data", "second", "--namespace", "other"]);
    await other.process.end();
    await expectRefused(site, args, "another data directory");
    // Each is still welcome where it was.
    await site.serve(["--data", "first"]);
    await site.serve(["--data", "second", "--namespace", "other"]);
  });

  test("where the URL or the namespace is none: a wrong call", async () => {
    await using site = await Site.make();
    for (const [flag, value] of [
      ["--redis", "localhost"],
      ["--redis", "redis://"],
      ["--namespace", "a:b"],
    ] as const) {
      const { code, stderr } = await site.place.run(["serve", "--redis", site.redis.url, flag, value]);
      expect([code, lines(stderr).length, stderr]).toEqual([2, 1, expect.stringContaining(flag)]);
    }
    expect(existsSync(site.place.path("data"))).toBe(false);
  });
});

describe.skipIf(!ownRedis)("serve with a Redis that is out of reach", () => {
  test("starts, stores, says why it is not ready, and runs all of it soon after Redis comes", async () => {
    await using site = await Site.make();
    await site.redis.kill();
    const { process, url } = await site.serve(["--threads", "1"]);
    const ready = await fetch(`${url}/health/ready`);
    const broker = { ok: false, detail: expect.stringContaining("ECONNREFUSED") };
    expect([ready.status, await ready.json()]).toEqual([
      503,
      { status: "unavailable", checks: { database: { ok: true }, broker, tasks: { ok: true } } },
    ]);
    expect((await fetch(`${url}/health/live`)).status).toBe(200);
    const ada = await Client.register(url);
    const view = await View.open(ada);
    const ids = await ada.submitAll(
      "quick",
      Array.from({ length: 100 }, (_, n) => ({ n })),
    );
    const cancelled = await ada.submit("slow", { ms: 600_000 });
    await ada.cancel(cancelled);
    await view.ended([cancelled]);
    for (const task of await ada.tasks()) expect(task.status).toBe(task.task_id === cancelled ? "cancelled" : "queued");

    await site.redis.restart();
    const came = Date.now();
    await view.ended(ids);
    expect(Date.now() - came).toBeLessThan(2_000);
    expect((await fetch(`${url}/health/ready`)).status).toBe(200);
    expect(ids.map((id) => view.tasks.get(id)?.result)).toEqual(ids.map((_, n) => n * 2));
    expect(ids.map((id) => view.ends.get(id))).toEqual(ids.map(() => 1));
    expect(view.faults).toEqual([]);
    expect(process.log.filter(({ message }) => message === "Redis is out of reach").length).toBe(1);
    expect(process.log.filter(({ level }) => level === "error")).toEqual([]);
    expect((await process.end()).code).toBe(0);
  });

  test("a signal ends it there as well, and the next start has everything", async () => {
    await using site = await Site.make();
    await site.redis.kill();
    const first = await site.serve(["--threads", "1", "--drain", "10m"]);
    const ada = await Client.register(first.url);
    const ids = await ada.submitAll("quick", [{ n: 1 }, { n: 2 }]);
    expect((await first.process.end()).code).toBe(0);
    await site.redis.restart();
    const second = await site.serve(["--threads", "1"]);
    ada.url = second.url;
    const view = await View.open(ada);
    const listed = async () => (await ada.tasks()).map(({ task_id }) => task_id).sort();
    expect(await listed()).toEqual([...ids].sort());
    await view.ended([await ada.submit("quick", { n: 3 })]);
    for (const id of ids) expect(await ada.task(id)).toMatchObject({ status: "done", attempt: 1 });
  });
});
