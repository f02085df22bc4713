import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { type ArtelProcess, type Ended, lines, Place } from "../support/artel-process.ts";
import { onRedis } from "../support/broker.ts";
import { Client } from "../support/e2e-client.ts";
import { ownRedis, rowsOf, Site, working } from "../support/e2e-site.ts";
import { EFFECTS } from "../support/e2e-tasks.ts";
import { View } from "../support/e2e-view.ts";
import { eventually, LIMIT_MS } from "../support/waiting.ts";

setDefaultTimeout(LIMIT_MS);

/** Nobody listens there. */
const NOWHERE = "redis://127.0.0.1:1";
/** What a busy machine may take on top of a drain, in milliseconds. */
const SLACK_MS = 3_000;
const FREE = { attempt: 1, deaths: 0 };

/** One line on stderr that names all of this, and nothing on stdout. */
function expectRefused({ code, stdout, stderr }: Ended, expected: number, ...named: readonly string[]): void {
  expect({ code, stdout, lines: lines(stderr).length }).toEqual({ code: expected, stdout: "", lines: 1 });
  for (const name of named) expect(stderr).toContain(name);
}

const outOfReach = (worker: ArtelProcess): number =>
  worker.log.filter(({ message }) => message === "Redis is out of reach").length;

describe.skipIf(onRedis)("artel work, called wrongly", () => {
  test("ends with 2 and one line that names what is wrong", async () => {
    await using place = await Place.make();
    const refused = async (named: string, ...args: readonly string[]): Promise<void> =>
      expectRefused(await place.run(["work", ...args]), 2, named);
    await refused("--redis");
    await refused("--redis", "--redis", "127.0.0.1");
    await refused("--redis", "--redis", "http://127.0.0.1:6379");
    await refused("--redis", "--redis", "redis://127.0.0.1:99999");
    await refused("--queues", "--redis", NOWHERE, "--queues", "mail,no queue");
    await refused("--threads", "--redis", NOWHERE, "--threads", "0");
    await refused("--slots", "--redis", NOWHERE, "--slots", "0");
    await refused("--data", "--redis", NOWHERE, "--data", "data");
    expectRefused(await place.run(["work"], { ARTEL_REDIS: "none", REDIS_URL: NOWHERE }), 2, "--redis");
    expect(readdirSync(place.folder)).toEqual(["artel"]);
  });

  test("never shows the password", async () => {
    await using place = await Place.make();
    for (const url of ["http://:secret@127.0.0.1:6379", "redis://:secret@127.0.0.1:port", "redis://ada:secret@"]) {
      const { code, stderr } = await place.run(["work", "--redis", url]);
      expect({ code, stderr }).toEqual({ code: 2, stderr: expect.not.stringContaining("secret") });
    }
  });

  test("with a tasks folder that is none ends with 1", async () => {
    await using place = await Place.make();
    place.write({ taken: "a file" });
    expectRefused(await place.run(["work", "--redis", NOWHERE, "--tasks", "missing"]), 1, place.path("missing"));
    expectRefused(await place.run(["work", "--redis", NOWHERE, "--tasks", "taken"]), 1, place.path("taken"));
  });
});

describe.skipIf(!ownRedis)("artel work", () => {
  test("says what it works on, takes the URL from any of its variables, and leaves no file behind", async () => {
    await using site = await Site.make();
    await using elsewhere = await Place.make();
    const args = ["--tasks", site.place.path("tasks"), "--queues", "default, mail", "--namespace", "shop"];
    for (const variable of ["ARTEL_REDIS", "ARTEL_REDIS_URL", "REDIS_URL"]) {
      const worker = elsewhere.start(["work", "--threads", "1", ...args], { [variable]: site.redis.url });
      const line = await working(worker);
      for (const name of ["quick", "slow", "parse", "default, mail", "shop"]) expect(line).toContain(name);
      expect(await worker.end()).toMatchObject({ code: 0, stdout: line });
    }
    expect(readdirSync(elsewhere.folder)).toEqual(["artel"]);
    expect(readdirSync(elsewhere.home)).toEqual([]);
  });

  test("waits for a Redis that is out of reach, says so once, and begins when it comes", async () => {
    await using site = await Site.make({ password: "secret" });
    await site.redis.kill();
    const at = `127.0.0.1:${site.redis.port}`;
    const args = ["--redis", site.redis.url, "--tasks", "tasks", "--threads", "1", "--port", "0"];
    const worker = site.place.start(["work", ...args]);
    await worker.until(() => lines(worker.stdout)[0], "a line");
    expect(lines(worker.stdout)).toEqual([
      expect.stringContaining(`waits for Redis at redis://${at}: connect ECONNREFUSED ${at}; `),
    ]);
    expect(worker.stdout).not.toMatch(/secret|works on/);
    const [url = ""] = /http:\/\/[^\s/]+:\d+/.exec(worker.stdout) ?? [];
    const ready = () => fetch(`${url}/health/ready`);
    expect((await fetch(`${url}/health/live`)).status).toBe(200);
    const away = await ready();
    expect([away.status, await away.json()]).toEqual([
      503,
      {
        status: "unavailable",
        checks: { broker: { ok: false, detail: expect.stringContaining("ECONNREFUSED") }, tasks: { ok: true } },
      },
    ]);
    const { url: api } = await site.serve();
    const ada = await Client.register(api);
    const view = await View.open(ada);
    const ids = await ada.submitAll("quick", [{ n: 1 }, { n: 2 }]);
    expect([worker.running, outOfReach(worker)]).toEqual([true, 1]);

    await site.redis.restart();
    expect(await working(worker)).toContain("quick");
    await view.ended(ids);
    expect(ids.map((id) => view.tasks.get(id)?.result)).toEqual([2, 4]);
    // Its threads have connections of their own, and may be back before it is.
    await eventually(async () => ((await ready()).status === 200 ? true : undefined), "readiness");
    expect(outOfReach(worker)).toBe(1);
    expect(view.faults).toEqual([]);
    const ended = await worker.end();
    expect({ code: ended.code, lines: lines(ended.stdout).length }).toEqual({ code: 0, lines: 2 });
    expect(ended.stdout + ended.stderr).not.toContain("secret");
  });

  test("--port shows health and figures, and turns unready while Redis is away", async () => {
    await using site = await Site.make();
    const worker = await site.work(["--port", "0", "--tasks", "tasks"]);
    const [url = ""] = /http:\/\/127\.0\.0\.1:\d+/.exec(worker.stdout) ?? [];
    const status = async (path: string): Promise<number> => (await fetch(url + path)).status;
    expect(await (await fetch(`${url}/health/ready`)).json()).toEqual({
      status: "ok",
      checks: { broker: { ok: true }, tasks: { ok: true } },
    });
    const metrics = await fetch(`${url}/metrics`);
    expect(metrics.headers.get("content-type")).toStartWith("text/plain");
    const text = await metrics.text();
    for (const figure of [
      /^artel_jobs_running 0$/m,
      /^artel_info\{version="[^"]+"\} 1$/m,
      /^process_resident_memory_bytes \d+$/m,
    ])
      expect(text).toMatch(figure);
    // It is not the API.
    expect([await status("/tasks"), await status("/docs"), await status("/auth/me")]).toEqual([404, 404, 404]);

    await site.redis.kill();
    await eventually(async () => ((await status("/health/ready")) === 503 ? true : undefined), "unready");
    expect(await status("/health/live")).toBe(200);
    await site.redis.restart();
    await eventually(async () => ((await status("/health/ready")) === 200 ? true : undefined), "ready");
    // The way in which it is out of reach may change meanwhile, and each is told once.
    const said = worker.log.map(({ message }) => message);
    expect(said.filter((message, i) => message !== said[i - 1])).toEqual(["Redis is out of reach", "Redis is back"]);
  });

  test("with a port that is taken ends with 1 and one line", async () => {
    await using site = await Site.make();
    using taken = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const port = String(taken.port);
    expectRefused(await site.place.run(["work", "--redis", site.redis.url, "--port", port]), 1, port, "in use");
  });

  test("refuses a wrong password with 1 and one line that does not show it", async () => {
    await using site = await Site.make({ password: "right" });
    const url = site.redis.url.replace("right", "wrong");
    const refused = await site.place.run(["work", "--redis", url]);
    expectRefused(refused, 1, "password", `127.0.0.1:${site.redis.port}`);
    expect(refused.stderr).not.toContain("wrong@");
    expectRefused(await site.place.run(["work", "--redis", `redis://127.0.0.1:${site.redis.port}`]), 1, "password");
    expect((await (await site.work()).end()).code).toBe(0);
  });
});

const SIGNALS = ["SIGTERM", "SIGINT"] as const;

describe.skipIf(!ownRedis)("a signal to a worker", () => {
  async function started(drain: string) {
    await using starting = new AsyncDisposableStack();
    const site = starting.use(await Site.make());
    const { url } = await site.serve();
    const worker = await site.work(["--slots", "4", "--drain", drain]);
    const client = await Client.register(url);
    const view = await View.open(client);
    starting.defer(() => view.close());
    const resources = starting.move();
    return { site, worker, client, view, [Symbol.asyncDispose]: () => resources.disposeAsync() };
  }

  test.each(SIGNALS)("%s lets short tasks finish, gives long ones back at no cost, and ends with 0 in time", async (signal) => {
    await using all = await started("2s");
    const { site, worker, client, view } = all;
    const short = await client.submit("slow", { ms: 500 });
    const long = await client.submit("gated", { gate: "open" });
    await view.status(short, "in progress");
    await view.status(long, "in progress");
    const asked = Date.now();
    expect(await worker.end(signal)).toMatchObject({ code: 0, signal: null });
    expect(Date.now() - asked).toBeLessThan(2_000 + SLACK_MS);
    await view.status(short, "done");
    await view.status(long, "queued");
    expect(rowsOf(site.place, [short, long])).toMatchObject([FREE, FREE]);

    await site.work();
    await view.status(long, "in progress");
    site.place.write({ open: "" });
    await view.ended([long]);
    expect(await client.task(long)).toMatchObject({ status: "done", result: "through", attempt: 1 });
    expect(rowsOf(site.place, [short, long])).toMatchObject([FREE, FREE]);
    expect(lines(readFileSync(site.place.path(EFFECTS), "utf8")).sort()).toEqual([long, short].sort());
    expect(view.faults).toEqual([]);
  });

  test("ends a task that heeds nothing, which goes back at no cost as well", async () => {
    await using all = await started("1s");
    const { site, worker, client, view } = all;
    const busy = await client.submit("busy");
    await view.status(busy, "in progress");
    const asked = Date.now();
    expect((await worker.end()).code).toBe(0);
    expect(Date.now() - asked).toBeLessThan(1_000 + SLACK_MS);
    await view.status(busy, "queued");
    expect(rowsOf(site.place, [busy])).toMatchObject([FREE]);
  });

  test("under load costs no task anything, and another worker does the rest", async () => {
    await using all = await started("1s");
    const { site, worker, client, view } = all;
    const ids = await client.submitAll(
      "slow",
      Array.from({ length: 400 }, (_, n) => ({ ms: n % 20 })),
    );
    ids.push(
      ...(await client.submitAll(
        "quick",
        Array.from({ length: 1_000 }, (_, n) => ({ n })),
      )),
    );
    await view.until(() => view.ends.size > 50, "the first 50");
    expect((await worker.end()).code).toBe(0);
    const before = rowsOf(site.place, ids);
    expect(before).toMatchObject(before.map(() => FREE));
    expect(view.ends.size).toBeLessThan(ids.length);
    await site.work();
    await view.ended(ids);
    for (const id of ids) expect([view.tasks.get(id)?.status, view.ends.get(id)]).toEqual(["done", 1]);
    // Nothing died, so nothing ran twice.
    expect(lines(readFileSync(site.place.path(EFFECTS), "utf8")).sort()).toEqual([...ids].sort());
    expect(view.faults).toEqual([]);
  });

  test.each(SIGNALS)("a second %s ends it at once", async (signal) => {
    await using all = await started("10m");
    const { worker, client, view } = all;
    const long = await client.submit("gated", { gate: "open" });
    await view.status(long, "in progress");
    worker.signal(signal);
    await worker.logged("draining");
    const asked = Date.now();
    expect((await worker.end(signal)).code).toBe(0);
    expect(Date.now() - asked).toBeLessThan(SLACK_MS);
  });

  test("while it still waits for Redis ends it at once", async () => {
    await using place = await Place.make();
    const worker = place.start(["work", "--redis", NOWHERE, "--drain", "10m"]);
    await worker.until(() => (worker.stdout.includes("waits for Redis") ? true : undefined), "that it waits");
    expect(await worker.end()).toMatchObject({ code: 0, stdout: expect.not.stringContaining("works on") });
  });

  test("with nothing to do ends it at once, whether Redis is there or not", async () => {
    await using site = await Site.make();
    const [one, other] = [await site.work(["--drain", "10m"]), await site.work(["--drain", "10m"])];
    expect(await one.end()).toMatchObject({ code: 0 });
    await site.redis.kill();
    await other.logged("Redis is out of reach");
    expect(await other.end()).toMatchObject({ code: 0 });
  });
});
