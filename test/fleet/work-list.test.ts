import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { hostname } from "node:os";
import { Client, call, expectStatus } from "../support/e2e-client.ts";
import { ownRedis, Site, type WorkerItem, workersOf } from "../support/e2e-site.ts";
import { TASKS } from "../support/e2e-tasks.ts";
import { View } from "../support/e2e-view.ts";
import { eventually, LIMIT_MS } from "../support/waiting.ts";

setDefaultTimeout(LIMIT_MS);

/** Every time that the API shows. */
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const pids = (items: readonly WorkerItem[]): number[] => items.map(({ pid }) => pid).sort();

/** Waits until the list holds these processes and no others. */
async function listed(admin: Client, ...expected: readonly number[]): Promise<readonly WorkerItem[]> {
  const wanted = JSON.stringify([...expected].sort());
  return await eventually(async () => {
    const items = await workersOf(admin);
    return JSON.stringify(pids(items)) === wanted ? items : undefined;
  }, `the workers ${wanted}`);
}

describe.skipIf(!ownRedis)("GET /workers", () => {
  test("shows admins every worker process and what it does, and nobody else", async () => {
    await using site = await Site.make();
    site.place.write({ "few/gated.ts": TASKS["tasks/gated.ts"] ?? "" });
    const { url, process } = await site.serve(["--threads", "1", "--slots", "3"]);
    const admin = await Client.register(url, "root");
    const ada = await Client.register(url, "ada");
    expect(await ada.call("GET", "/workers")).toMatchObject({ status: 403, body: { code: "forbidden", status: 403 } });
    expect((await call("GET", `${url}/workers`)).status).toBe(401);
    await site.promote(admin);
    expect((await ada.call("GET", "/workers")).status).toBe(403);

    const before = Date.now();
    const worker = await site.work(["--tasks", "few", "--queues", "default,mail", "--threads", "2", "--slots", "5"]);
    const items = await listed(admin, process.pid, worker.pid);
    const { version } = ((await (await fetch(`${url}/openapi.json`)).json()) as { info: { version: string } }).info;
    const names = Object.keys(TASKS).map((path) => /(\w+)\.ts$/.exec(path)?.[1]);
    const common = { id: expect.any(String), host: hostname(), version, running: 0 };
    const times = { started_at: expect.stringMatching(TIME), seen_at: expect.stringMatching(TIME) };
    expect(items.find(({ pid }) => pid === process.pid)).toEqual({
      ...{ ...common, ...times, pid: process.pid, threads: 1, slots: 3, queues: null },
      tasks: expect.arrayContaining(["parse", ...names]) as unknown as string[],
    });
    const item = items.find(({ pid }) => pid === worker.pid) as WorkerItem;
    expect(item).toEqual({
      ...{ ...common, ...times, pid: worker.pid, threads: 2, slots: 5 },
      ...{ queues: ["default", "mail"], tasks: ["parse", "gated"] },
    });
    expect(new Set(items.map(({ id }) => id)).size).toBe(2);
    for (const at of [item.started_at, item.seen_at]) {
      expect(Date.parse(at)).toBeGreaterThanOrEqual(before);
      expect(Date.parse(at)).toBeLessThanOrEqual(Date.now());
    }
    // It goes on telling that it lives.
    await eventually(async () => {
      const seen = (await workersOf(admin)).find(({ id }) => id === item.id)?.seen_at ?? "";
      return Date.parse(seen) > Date.parse(item.seen_at) ? true : undefined;
    }, "another heartbeat");
  });

  test("follows starts, what runs, drained ends at once, and a Redis that is away", async () => {
    await using site = await Site.make();
    const { url } = await site.serve();
    const admin = await Client.register(url, "root");
    const view = await View.open(admin);
    await site.promote(admin);
    // A server without threads runs nothing and is none of them.
    expect(await workersOf(admin)).toEqual([]);
    const first = await site.work(["--drain", "1s"]);
    await listed(admin, first.pid);
    const ids = await admin.submitAll("gated", [{ gate: "open" }, { gate: "open" }, { gate: "open" }]);
    for (const id of ids) await view.status(id, "in progress");
    expect(await workersOf(admin)).toMatchObject([{ pid: first.pid, running: 3 }]);
    const second = await site.work();
    await listed(admin, first.pid, second.pid);

    expect((await first.end()).code).toBe(0);
    expect(pids(await workersOf(admin))).toEqual([second.pid]);
    for (const id of ids) await view.status(id, "in progress");
    await eventually(async () => ((await workersOf(admin))[0]?.running === 3 ? true : undefined), "the tasks at the other one");
    site.place.write({ open: "" });
    await view.ended(ids);
    expect(await workersOf(admin)).toMatchObject([{ pid: second.pid, running: 0 }]);

    await site.redis.kill();
    await eventually(async () => ((await fetch(`${url}/health/ready`)).status === 503 ? true : undefined), "unready");
    expect(expectStatus(503, await admin.call("GET", "/workers"))).toMatchObject({ code: "redis_unavailable" });
    await site.redis.restart();
    await eventually(async () => ((await fetch(`${url}/health/ready`)).status === 200 ? true : undefined), "ready");
    await listed(admin, second.pid);
    expect((await second.end()).code).toBe(0);
    expect(await workersOf(admin)).toEqual([]);
    view.close();
  });
});
