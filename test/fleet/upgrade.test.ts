import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { type ArtelProcess, lines } from "../support/artel-process.ts";
import { Client } from "../support/e2e-client.ts";
import { ownRedis, rowsOf, Site, workersOf } from "../support/e2e-site.ts";
import { EFFECTS } from "../support/e2e-tasks.ts";
import { View } from "../support/e2e-view.ts";
import { LAYOUT, NEXT_LAYOUT, NEXT_VERSION, nextExecutable } from "../support/next-version.ts";
import { LIMIT_MS } from "../support/waiting.ts";

setDefaultTimeout(LIMIT_MS);

const MANY = Array.from({ length: 2_000 }, (_, n) => ({ n }));
const GATE = { gate: "open" };
/** One at a time, and as long as it takes. */
const WORK = ["--slots", "1", "--drain", "10m"];

let next = "";
beforeAll(async () => {
  if (ownRedis) next = await nextExecutable();
});

/** A server and a worker of this release, and somebody's task that runs there before many that wait. */
class Scene implements AsyncDisposable {
  readonly site: Site;
  readonly client: Client;
  readonly view: View;
  readonly server: ArtelProcess;
  readonly worker: ArtelProcess;
  readonly running: string;
  readonly waiting: readonly string[];

  private constructor(parts: Pick<Scene, "site" | "client" | "view" | "server" | "worker" | "running" | "waiting">) {
    this.site = parts.site;
    this.client = parts.client;
    this.view = parts.view;
    this.server = parts.server;
    this.worker = parts.worker;
    this.running = parts.running;
    this.waiting = parts.waiting;
  }

  static async set(): Promise<Scene> {
    await using starting = new AsyncDisposableStack();
    const site = starting.use(await Site.make());
    const { url, process } = await site.serve();
    const worker = await site.work(WORK);
    const client = await Client.register(url);
    const view = await View.open(client);
    const running = await client.submit("gated", GATE);
    await view.status(running, "in progress");
    const waiting = await client.submitAll("quick", MANY);
    starting.move();
    return new Scene({ site, client, view, server: process, worker, running, waiting });
  }

  /** The server ends, and one of the next release begins on the same data. */
  async upgradeServer(): Promise<ArtelProcess> {
    expect((await this.server.end()).code).toBe(0);
    this.site.place.replace(next);
    const { url, process } = await this.site.serve();
    this.client.url = url;
    await this.view.connect();
    return process;
  }

  /** How often each task has run. */
  runs(): Map<string, number> {
    const ran = lines(readFileSync(this.site.place.path(EFFECTS), "utf8"));
    return new Map([...Map.groupBy(ran, (id) => id)].map(([id, all]) => [id, all.length]));
  }

  /** All is done, of which nothing cost an attempt and nothing was heard twice. */
  async expectAllDone(): Promise<void> {
    const all = [this.running, ...this.waiting];
    await this.view.ended(all);
    expect(all.filter((id) => this.view.tasks.get(id)?.status !== "done" || this.view.ends.get(id) !== 1)).toEqual([]);
    expect(rowsOf(this.site.place, all).filter((row) => row?.attempt !== 1 || row.deaths !== 0)).toEqual([]);
    expect(this.view.faults).toEqual([]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.view.close();
    await this.site[Symbol.asyncDispose]();
  }
}

/** The layouts that keys of a namespace have. */
async function layoutsOf(site: Site, namespace = "artel"): Promise<string[]> {
  const keys = (await site.redis.command("KEYS", `{${namespace}}:v*`)) as string[];
  return [...new Set(keys.map((key) => key.split(":")[1] ?? ""))];
}

describe.skipIf(!ownRedis)("two versions", () => {
  test.concurrent("beside each other on one Redis: each has its own tasks, workers and keys", async () => {
    await using site = await Site.make();
    const clients = [];
    for (const name of ["old", "new"]) {
      const own = ["--namespace", name];
      const { url } = await site.serve([...own, "--data", name]);
      await site.work(own);
      clients.push(await Client.register(url, name));
      site.place.replace(next);
    }
    const ended = clients.map(async (client) => {
      const view = await View.open(client);
      const ids = await client.submitAll("quick", MANY);
      await view.ended(ids);
      expect(view.faults).toEqual([]);
      expect(ids.map((id) => view.tasks.get(id)?.result)).toEqual(MANY.map(({ n }) => n * 2));
      return ids;
    });
    const ids = (await Promise.all(ended)).flat();
    expect(lines(readFileSync(site.place.path(EFFECTS), "utf8")).sort()).toEqual(ids.sort());
    expect(await layoutsOf(site, "old")).toEqual([LAYOUT]);
    expect(await layoutsOf(site, "new")).toEqual([NEXT_LAYOUT]);
  });

  test.concurrent("one after the other, workers first: every task runs once", async () => {
    await using scene = await Scene.set();
    const { site, view, worker, running } = scene;
    worker.signal("SIGTERM");
    await worker.logged("draining");
    site.place.write({ open: "" });
    expect((await worker.ended).code).toBe(0);
    await view.ended([running]);
    const server = await scene.upgradeServer();
    await server.logged("removed from Redis what another version had left there");
    await site.promote(scene.client);
    await site.work();
    expect((await workersOf(scene.client)).map((each) => each.version)).toEqual([NEXT_VERSION]);
    await scene.expectAllDone();
    expect([...scene.runs().values()].filter((runs) => runs !== 1)).toEqual([]);
    expect(await layoutsOf(site)).toEqual([NEXT_LAYOUT]);
  });

  test.concurrent("one after the other, the server first: an old worker ends what it has and takes no more", async () => {
    await using scene = await Scene.set();
    const { site, worker, running } = scene;
    const server = await scene.upgradeServer();
    await server.logged("removed from Redis what another version had left there");
    await site.work();
    // From now on the old one would take more, if there were more for it.
    site.place.write({ open: "" });
    await scene.expectAllDone();
    expect((await worker.end()).code).toBe(0);
    // What it ended, it told nobody who reads: that runs again, once its lease is over.
    expect([...scene.runs()].filter(([, runs]) => runs !== 1)).toEqual([[running, 2]]);
  });
});
