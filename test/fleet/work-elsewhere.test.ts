import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { lines } from "../support/artel-process.ts";
import { Client, expectStatus } from "../support/e2e-client.ts";
import { ownRedis, Site } from "../support/e2e-site.ts";
import { EFFECTS, TASKS } from "../support/e2e-tasks.ts";
import { View } from "../support/e2e-view.ts";
import { LIMIT_MS } from "../support/waiting.ts";

setDefaultTimeout(LIMIT_MS);

/** A stop must reach a running task so soon, on a busy machine; alone it takes a few milliseconds. */
const AT_ONCE_MS = 900;

const HEAD = 'import { task, t } from "artel";\n';

/** Task files beside those of every site. */
const MORE: Readonly<Record<string, string>> = {
  /** Reports step by step; each is over when a file says so. */
  "tasks/chatty.ts": `import { existsSync } from "node:fs"; ${HEAD}export default task({
    input: t.Object({ steps: t.Integer() }), retry: 1,
    async run({ steps }, ctx) {
      for (let i = 1; i <= steps; i += 1) {
        ctx.log.info("step", i);
        ctx.progress(i, steps, "step " + i);
        while (!existsSync(import.meta.dir + "/../step-" + i)) await ctx.sleep(10);
      }
      console.log("through");
      return steps;
    },
  });`,
  "tasks/short.ts": `${HEAD}export default task({
    input: t.Object({}), retry: { attempts: 2, backoff: 1, maxBackoff: 1 }, timeout: "300ms",
    async run(_, ctx) { await ctx.sleep(600_000); },
  });`,
  "tasks/loops.ts": `${HEAD}export default task({ input: t.Object({}), retry: 1, timeout: "300ms", run() { for (;;); } });`,
  "tasks/mailing.ts": `${HEAD}export default task({ queue: "mail", input: t.Object({}), retry: 1, run: () => process.pid });`,
  "tasks/anywhere.ts": `${HEAD}export default task({ input: t.Object({}), retry: 1, run: () => process.pid });`,
};

interface Scene extends AsyncDisposable {
  readonly site: Site;
  readonly ada: Client;
  readonly view: View;
}

/** A server without threads, and a user. */
async function scene(args: readonly string[] = []): Promise<Scene> {
  await using starting = new AsyncDisposableStack();
  const site = starting.use(await Site.make());
  site.place.write(MORE);
  const { url } = await site.serve(args);
  const ada = await Client.register(url);
  const view = await View.open(ada);
  starting.defer(() => view.close());
  const resources = starting.move();
  return { site, ada, view, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

const times = <T>(count: number, make: (n: number) => T): T[] => Array.from({ length: count }, (_, n) => make(n));

describe.skipIf(!ownRedis)("serve --threads 0 with a worker elsewhere", () => {
  test("is like one server: results, failures, retries, progress, logs", async () => {
    await using all = await scene();
    const { site, ada, view } = all;
    await site.work();
    const chatty = await ada.submit("chatty", { steps: 3 });
    const quick = await ada.submitAll(
      "quick",
      times(300, (n) => ({ n })),
    );
    const failing = await ada.submit("failing", { n: 7 });
    const retrying = await ada.submitAll(
      "retrying",
      times(4, (n) => ({ until: n + 1 })),
    );
    const delayed = await ada.submit("quick", { n: 4 }, "?delay=100ms");
    for (const step of [1, 2, 3]) {
      const told = () => view.tasks.get(chatty)?.message === `step ${step}` && view.tasks.get(chatty)?.progress === step / 3;
      await view.until(told, `step ${step}`);
      site.place.write({ [`step-${step}`]: "" });
    }
    await view.ended([chatty, ...quick, failing, ...retrying, delayed]);

    expect(quick.map((id) => view.tasks.get(id)?.result)).toEqual(quick.map((_, n) => n * 2));
    expect(view.tasks.get(failing)).toMatchObject({ status: "failed", error: { code: "no_luck", message: "no luck with 7" } });
    expect(retrying.map((id) => view.tasks.get(id)?.attempt)).toEqual([1, 2, 3, 4]);
    expect(view.tasks.get(delayed)).toMatchObject({ status: "done", result: 8 });
    expect(view.tasks.get(chatty)).toMatchObject({ status: "done", result: 3, progress: 1 });
    expect(expectStatus(200, await ada.call("GET", `/tasks/${chatty}/logs`))).toMatchObject({
      items: [{ message: "step 1" }, { message: "step 2" }, { message: "step 3" }, { message: "through" }],
    });
    expect((await ada.tasks()).flatMap((task) => view.difference(task) ?? [])).toEqual([]);
    expect(view.faults).toEqual([]);
  });

  test("cancels a running task at once, one that heeds nothing soon, and one that waits", async () => {
    await using all = await scene();
    const { site, ada, view } = all;
    await site.work(["--slots", "2"]);
    const running = await ada.submit("slow", { ms: 600_000 });
    await view.status(running, "in progress");
    const asked = Date.now();
    expect(await ada.cancel(running)).toMatchObject({ cancel_requested: true });
    await view.ended([running]);
    expect(Date.now() - asked).toBeLessThan(AT_ONCE_MS);

    const busy = await ada.submit("busy");
    await view.status(busy, "in progress");
    const waiting = await ada.submit("quick", { n: 1 });
    await ada.cancel(waiting);
    await view.ended([waiting]);
    await ada.cancel(busy);
    await view.ended([busy]);
    for (const id of [running, waiting, busy])
      expect(await ada.task(id)).toMatchObject({ status: "cancelled", error: { code: "cancelled" }, attempt: 1 });
    const next = await ada.submit("quick", { n: 2 });
    await view.ended([next]);
    expect(lines(readFileSync(site.place.path(EFFECTS), "utf8"))).toEqual([next]);
    expect(view.faults).toEqual([]);
  });

  test("ends what takes too long, also where it heeds nothing; neighbours go on", async () => {
    await using all = await scene();
    const { site, ada, view } = all;
    await site.work(["--threads", "2", "--slots", "4"]);
    const held = await ada.submitAll(
      "gated",
      times(2, () => ({ gate: "open" })),
    );
    for (const id of held) await view.status(id, "in progress");
    const [short, loops] = [await ada.submit("short"), await ada.submit("loops")];
    await view.ended([short, loops]);
    expect(await ada.task(short)).toMatchObject({ status: "failed", error: { code: "timeout" }, attempt: 2 });
    expect(await ada.task(loops)).toMatchObject({ status: "failed", error: { code: "timeout" }, attempt: 1 });
    site.place.write({ open: "" });
    await view.ended(held);
    for (const id of held) expect(view.tasks.get(id)).toMatchObject({ status: "done", attempt: 1 });
    expect(view.faults).toEqual([]);
  });

  test("runs the built-in task where its worker may reach private addresses", async () => {
    await using all = await scene();
    const { site, ada, view } = all;
    using page = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: () => new Response("<title>Home</title><h1>Hello</h1>", { headers: { "content-type": "text/html" } }),
    });
    await site.work([], { ARTEL_ALLOW_PRIVATE_HOSTS: "1" });
    const id = await ada.submit("parse", { url: `${page.url}` });
    await view.ended([id]);
    expect(await ada.task(id)).toMatchObject({
      status: "done",
      result: { pages_total: 1, pages: [{ title: "Home", status: 200 }] },
    });
  });
});

describe.skipIf(!ownRedis)("several workers", () => {
  test("--queues: each takes its queues alone, and the rest waits", async () => {
    await using all = await scene();
    const { site, ada, view } = all;
    const mail = await site.work(["--queues", "mail"]);
    const waiting = await ada.submitAll(
      "anywhere",
      times(20, () => ({})),
    );
    const mailed = await ada.submitAll(
      "mailing",
      times(20, () => ({})),
    );
    await view.ended(mailed);
    expect(new Set(mailed.map((id) => view.tasks.get(id)?.result))).toEqual(new Set([mail.pid]));
    expect(new Set(waiting.map((id) => view.tasks.get(id)?.status))).toEqual(new Set(["queued"]));
    const rest = await site.work(["--queues", "default, other"]);
    await view.ended(waiting);
    expect(new Set(waiting.map((id) => view.tasks.get(id)?.result))).toEqual(new Set([rest.pid]));
    expect(view.faults).toEqual([]);
  });

  test("a task goes to the worker that has it; one that none has waits for one, and holds up nobody", async () => {
    await using all = await scene();
    const { site, ada, view } = all;
    const { "tasks/anywhere.ts": anywhere = "", "tasks/mailing.ts": mailing = "" } = MORE;
    site.place.write({ "left/anywhere.ts": anywhere, "right/mailing.ts": mailing, "none/readme.md": "" });
    const left = await site.work(["--tasks", "left"]);
    const right = await site.work(["--tasks", "right"]);
    const unknown = await ada.submitAll(
      "quick",
      times(200, (n) => ({ n })),
      "?priority=high",
    );
    const ids = await ada.submitAll(
      "anywhere",
      times(50, () => ({})),
    );
    const mails = await ada.submitAll(
      "mailing",
      times(50, () => ({})),
    );
    await view.ended([...ids, ...mails]);
    expect(new Set(ids.map((id) => view.tasks.get(id)?.result))).toEqual(new Set([left.pid]));
    expect(new Set(mails.map((id) => view.tasks.get(id)?.result))).toEqual(new Set([right.pid]));
    expect(new Set(unknown.map((id) => view.tasks.get(id)?.status))).toEqual(new Set(["queued"]));
    expect(existsSync(site.place.path(EFFECTS))).toBe(false);

    await site.work();
    await view.ended(unknown);
    expect(unknown.map((id) => view.tasks.get(id)?.result)).toEqual(unknown.map((_, n) => n * 2));
    expect(view.faults).toEqual([]);
  });

  test("share the load, beside the server's own threads, and each task runs once", async () => {
    await using all = await scene(["--threads", "1"]);
    const { site, ada, view } = all;
    const [one, other] = await Promise.all([site.work(["--slots", "1"]), site.work(["--slots", "1"])]);
    const ids = await ada.submitAll(
      "slow",
      times(150, () => ({ ms: 20 })),
    );
    const quick = await ada.submitAll(
      "quick",
      times(3_000, (n) => ({ n })),
    );
    await view.ended([...ids, ...quick]);
    for (const id of [...ids, ...quick]) expect([view.tasks.get(id)?.status, view.ends.get(id)]).toEqual(["done", 1]);
    expect(lines(readFileSync(site.place.path(EFFECTS), "utf8")).sort()).toEqual([...ids, ...quick].sort());
    expect([one.running, other.running]).toEqual([true, true]);
    expect(view.faults).toEqual([]);
  });

  test("a broken task file is left out on its worker and named; its tasks wait for another one", async () => {
    await using all = await scene();
    const { site, ada, view } = all;
    site.place.write({ "broken/quick.ts": "export default {", "broken/slow.ts": TASKS["tasks/slow.ts"] ?? "" });
    const broken = await site.work(["--tasks", "broken", "--port", "0"]);
    expect(broken.log).toMatchObject([{ message: "task file left out", file: site.place.path("broken/quick.ts") }]);
    const [url = ""] = /http:\/\/[^\s/]+:\d+/.exec(broken.stdout) ?? [];
    const ready = await fetch(`${url}/health/ready`);
    expect(ready.status).toBe(200);
    expect(await ready.json()).toMatchObject({ checks: { tasks: { ok: true, detail: expect.stringContaining("quick.ts") } } });
    const [quick, slow] = [await ada.submit("quick", { n: 1 }), await ada.submit("slow", { ms: 1 })];
    await view.ended([slow]);
    expect(view.tasks.get(quick)?.status).toBe("queued");
    await site.work();
    await view.ended([quick]);
  });
});
