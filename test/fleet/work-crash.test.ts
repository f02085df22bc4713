import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { type ArtelProcess, childrenOf, hasProc, lines } from "../support/artel-process.ts";
import { Client } from "../support/e2e-client.ts";
import { ownRedis, rowsOf, Site, workersOf } from "../support/e2e-site.ts";
import { EFFECTS } from "../support/e2e-tasks.ts";
import { View } from "../support/e2e-view.ts";
import { eventually, LIMIT_MS } from "../support/waiting.ts";

setDefaultTimeout(LIMIT_MS);

/** Few enough that the suspects of a crash, each in a process of its own, do not take all of the test's time. */
const SMALL = ["--threads", "1", "--slots", "4"];
const FREE = { attempt: 1, deaths: 0 };
/** One crash, and nothing since. */
const SUSPECT = { attempt: 1, deaths: 1 };

const times = <T>(count: number, make: (n: number) => T): T[] => Array.from({ length: count }, (_, n) => make(n));

interface Scene extends AsyncDisposable {
  readonly site: Site;
  readonly server: ArtelProcess;
  readonly ada: Client;
  readonly view: View;
}

/** A server without threads, and a user. */
async function scene(): Promise<Scene> {
  await using starting = new AsyncDisposableStack();
  const site = starting.use(await Site.make());
  const { url, process } = await site.serve();
  const ada = await Client.register(url);
  const view = await View.open(ada);
  starting.defer(() => view.close());
  const resources = starting.move();
  return { site, server: process, ada, view, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

/** Submits gated tasks, and waits until all of them run. */
async function gated({ ada, view }: Scene, count: number): Promise<string[]> {
  const ids = await ada.submitAll(
    "gated",
    times(count, () => ({ gate: "open" })),
  );
  for (const id of ids) await view.status(id, "in progress");
  return ids;
}

/** Of each kind: without any effect before its end, and done at the attempt that its number says. */
async function load({ ada }: Scene): Promise<{ readonly ids: string[]; readonly attempts: number[] }> {
  const ids = await ada.submitAll(
    "quick",
    times(1_500, (n) => ({ n })),
  );
  ids.push(
    ...(await ada.submitAll(
      "slow",
      times(300, (n) => ({ ms: n % 30 })),
    )),
  );
  const attempts = ids.map(() => 1);
  ids.push(
    ...(await ada.submitAll(
      "retrying",
      times(200, (n) => ({ until: 1 + (n % 3) })),
    )),
  );
  attempts.push(...times(200, (n) => 1 + (n % 3)));
  return { ids, attempts };
}

const effectsOf = ({ place }: Site): string[] => lines(readFileSync(place.path(EFFECTS), "utf8"));

describe.skipIf(!ownRedis)("kill -9 of a worker", () => {
  test.concurrent("under load: another one runs what it had, each of those alone; all ends once, and nothing is condemned", async () => {
    await using all = await scene();
    const { site, ada, view } = all;
    await site.promote(ada);
    const first = await site.work(SMALL);
    const held = await gated(all, 3);
    const second = await site.work(SMALL);
    const { ids, attempts } = await load(all);
    await view.until(() => view.ends.size > 300, "the first 300");
    await first.end("SIGKILL");
    // It may only be slow to answer, so it keeps its place for as long as a lease lasts.
    expect((await workersOf(ada)).map(({ pid }) => pid)).toContain(first.pid);
    expect(rowsOf(site.place, held)).toMatchObject(held.map(() => FREE));

    if (hasProc) await eventually(() => (childrenOf(second.pid).length > 0 ? true : undefined), "a process for a suspect");
    expect((await workersOf(ada)).map(({ pid }) => pid)).toEqual([second.pid]);
    site.place.write({ open: "" });
    await view.ended([...held, ...ids], 60_000);
    for (const id of [...held, ...ids]) expect([view.tasks.get(id)?.status, view.ends.get(id)]).toEqual(["done", 1]);
    expect(view.faults).toEqual([]);
    expect((await ada.tasks()).flatMap((task) => view.difference(task) ?? [])).toEqual([]);

    expect(rowsOf(site.place, held)).toMatchObject(held.map(() => SUSPECT));
    const rows = rowsOf(site.place, ids);
    expect(rows.map((row) => row?.attempt)).toEqual(attempts);
    // Of its neighbours only those that ran there when it died are suspected, and of those each ran there or here.
    const suspects = ids.filter((_, i) => rows[i]?.deaths === 1);
    expect(suspects.length).toBeLessThanOrEqual(16);
    expect(rows.filter((row) => (row?.deaths ?? 0) > 1)).toEqual([]);
    const runs = Map.groupBy(effectsOf(site), (id) => id);
    for (const id of ids.slice(0, 1_800)) expect(runs.get(id)?.length ?? 0).toBeLessThanOrEqual(suspects.includes(id) ? 2 : 1);
    for (const id of held) expect(runs.get(id)?.length).toBe(1);
    if (hasProc) await eventually(() => (childrenOf(second.pid).length === 0 ? true : undefined), "the end of those processes");
  });

  test.concurrent("that was only stopped for longer than its lease: what it says afterwards counts no more", async () => {
    await using all = await scene();
    const { site, ada, view } = all;
    await site.promote(ada);
    const first = await site.work([...SMALL, "--port", "0"]);
    const held = await gated(all, 2);
    const before = new Map(held.map((id) => [id, view.tasks.get(id)?.seq]));
    const second = await site.work(["--threads", "2"]);
    first.signal("SIGSTOP");
    for (const id of held)
      await view.until(
        () => view.tasks.get(id)?.status === "in progress" && view.tasks.get(id)?.seq !== before.get(id),
        "it again",
      );
    const running = async () => new Map((await workersOf(ada)).map((worker) => [worker.pid, worker.running]));
    expect(await running()).toEqual(new Map([[second.pid, 2]]));
    first.signal("SIGCONT");
    // It hears that they are not its own any more, and stops them.
    const [url] = /http:\/\/[^\s/]+:\d+/.exec(first.stdout) ?? [];
    const inHand = async () => /^artel_jobs_running (\d+)$/m.exec(await (await fetch(`${url}/metrics`)).text())?.[1];
    await eventually(async () => ((await inHand()) === "0" ? true : undefined), "the end of what it was running");
    site.place.write({ open: "" });
    await view.ended(held);
    for (const id of held) expect([view.tasks.get(id)?.status, view.ends.get(id)]).toEqual(["done", 1]);
    expect(rowsOf(site.place, held)).toMatchObject(held.map(() => SUSPECT));
    expect(view.faults).toEqual([]);
    // It is a worker as before.
    await second.end();
    const next = await ada.submit("quick", { n: 1 });
    await view.ended([next]);
    expect((await first.end()).code).toBe(0);
    expect(effectsOf(site).sort()).toEqual([...held, next].sort());
  });
});

/** Starts workers one after the other, as an init system does where one has died. @returns all of them, and what ends it */
function keepWorking(site: Site): { readonly workers: ArtelProcess[]; stop(): Promise<void> } {
  const workers: ArtelProcess[] = [];
  let stopped = false;
  const keep = async (): Promise<void> => {
    while (!stopped) {
      const worker = await site.work(SMALL);
      workers.push(worker);
      await worker.ended;
    }
  };
  const kept = keep();
  return {
    workers,
    async stop() {
      stopped = true;
      await workers.at(-1)?.end();
      await kept;
    },
  };
}

describe.skipIf(!ownRedis)("a task that kills its process", () => {
  test.concurrent("takes one worker along, dies alone twice, and is failed as poison; its neighbours end done", async () => {
    await using all = await scene();
    const { site, ada, view } = all;
    const { workers, stop } = keepWorking(site);
    const neighbours = await ada.submitAll(
      "slow",
      times(3, () => ({ ms: 400 })),
    );
    for (const id of neighbours) await view.status(id, "in progress");
    const killer = await ada.submit("killer");
    const others = await ada.submitAll(
      "quick",
      times(500, (n) => ({ n })),
    );
    await view.ended([killer, ...neighbours, ...others], 60_000);
    expect(await ada.task(killer)).toMatchObject({ status: "failed", error: { code: "poison" }, attempt: 1 });
    for (const id of [...neighbours, ...others]) expect([view.tasks.get(id)?.status, view.ends.get(id)]).toEqual(["done", 1]);
    expect(rowsOf(site.place, [killer])).toMatchObject([{ attempt: 1, deaths: 3 }]);
    for (const row of rowsOf(site.place, [...neighbours, ...others])) expect(row?.deaths).toBeLessThanOrEqual(1);
    expect(effectsOf(site).filter((id) => id === killer).length).toBe(3);
    expect(workers.map(({ running }) => running)).toEqual([false, true]);
    expect(view.faults).toEqual([]);
    await stop();
    expect(await workers[0]?.ended).toMatchObject({ signal: "SIGKILL" });
  });
});

describe.skipIf(!ownRedis)("kill -9 of the server", () => {
  test.concurrent("the workers go on with what they have, and the next start records all of it; nobody is suspected", async () => {
    await using all = await scene();
    const { site, server, ada, view } = all;
    await site.work(["--threads", "2", "--slots", "4"]);
    const held = await gated(all, 2);
    const { ids, attempts } = await load(all);
    await view.until(() => view.ends.size > 300, "the first 300");
    await server.end("SIGKILL");
    site.place.write({ open: "" });
    await eventually(() => (held.every((id) => effectsOf(site).includes(id)) ? true : undefined), "the gated ones' end");

    const { url } = await site.serve();
    ada.url = url;
    await view.connect();
    await view.ended([...held, ...ids]);
    for (const id of [...held, ...ids]) expect([view.tasks.get(id)?.status, view.ends.get(id)]).toEqual(["done", 1]);
    expect(view.faults).toEqual([]);
    expect((await ada.tasks()).flatMap((task) => view.difference(task) ?? [])).toEqual([]);
    expect(rowsOf(site.place, held)).toMatchObject(held.map(() => FREE));
    expect(rowsOf(site.place, ids)).toMatchObject(attempts.map((attempt) => ({ attempt, deaths: 0 })));
    // Nothing died that ran a task, so nothing ran twice.
    const once = [...held, ...ids.slice(0, 1_800)];
    expect(effectsOf(site).sort()).toEqual(once.sort());
  });
});
