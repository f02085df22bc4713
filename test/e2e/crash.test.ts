import { Database } from "bun:sqlite";
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { childrenOf, gone, hasProc, lines, Place, type Served } from "../support/artel-process.ts";
import { Client, type Task } from "../support/e2e-client.ts";
import { EFFECTS, TASKS } from "../support/e2e-tasks.ts";
import { View } from "../support/e2e-view.ts";
import { eventually, LIMIT_MS, seeded } from "../support/waiting.ts";

setDefaultTimeout(LIMIT_MS);

const CYCLES = 6;
/** Few enough that the suspects of a crash, each in a process of its own, do not take all of the test's time. */
const SERVE = ["--tasks", "tasks", "--threads", "2", "--slots", "4"];

interface User {
  readonly client: Client;
  readonly view: View;
  /** Tasks that were answered with 202. */
  readonly accepted: string[];
}

async function user(url: string, name: string): Promise<User> {
  const client = await Client.register(url, name);
  return { client, view: await View.open(client), accepted: [] };
}

/** Submits small batches of all kinds until the server is gone. */
async function flood({ client, accepted }: User, random: () => number): Promise<void> {
  try {
    for (;;) {
      const n = Math.floor(random() * 1_000);
      accepted.push(...(await client.submitAll("quick", [{ n }, { n: n + 1 }, { n: n + 2 }])));
      accepted.push(await client.submit("slow", { ms: n % 40 }));
      accepted.push(await client.submit("retrying", { until: 1 + (n % 3) }));
    }
  } catch {
    // What was on its way may be stored or not; it has not been promised.
  }
}

/** Takes the server, kills it when this many transitions have been heard of, and returns once it is gone. */
async function killAfter(transitions: number, { process }: Served, users: readonly User[]): Promise<void> {
  const heard = (): number => users.reduce((sum, { view }) => sum + view.transitions, 0);
  const until = heard() + transitions;
  await Promise.race(users.map(({ view }) => view.until(() => heard() >= until, `${transitions} transitions`)));
  const children = hasProc ? childrenOf(process.pid) : [];
  await process.end("SIGKILL");
  await gone(children);
}

const effectsOf = (place: Place): Set<string> =>
  new Set(existsSync(place.path(EFFECTS)) ? lines(readFileSync(place.path(EFFECTS), "utf8")) : []);

describe("kill -9", () => {
  test("in the middle of load, again and again: what was accepted ends, once, and sockets miss nothing", async () => {
    await using place = await Place.make();
    place.write(TASKS);
    const random = seeded(20_261_124);
    let served = await place.serve(SERVE);
    const users = [await user(served.url, "ada"), await user(served.url, "bob")];
    for (let cycle = 0; cycle < CYCLES; cycle += 1) {
      const floods = users.map((each) => flood(each, random));
      await killAfter(20 + Math.floor(random() * 800), served, users);
      await Promise.all(floods);
      served = await place.serve(SERVE);
      for (const { client, view } of users) {
        client.url = served.url;
        await view.connect();
      }
    }

    const effects = () => effectsOf(place);
    for (const { client, view, accepted } of users) {
      await view.ended(accepted, 60_000);
      const listed = await client.tasks();
      await view.ended(listed.map(({ task_id }) => task_id));
      expect(view.faults).toEqual([]);
      const rows = new Map((await client.tasks()).map((task) => [task.task_id, task]));
      for (const id of accepted) {
        const { name, status, error, attempt } = rows.get(id) as Task;
        expect({ name, status, error, ends: view.ends.get(id) }).toEqual({ name, status: "done", error: null, ends: 1 });
        // A crash costs no attempt: only what asks for more than one has more than one.
        if (name !== "retrying") expect(attempt).toBe(1);
        if (name !== "retrying") expect(effects().has(id)).toBe(true);
      }
      expect([...rows.values()].flatMap((task) => view.difference(task) ?? [])).toEqual([]);
      expect(accepted.length).toBeGreaterThan(CYCLES);
      view.close();
    }
    await served.process.end();
    using db = new Database(place.path("data/artel.db"), { readonly: true });
    expect(db.query("PRAGMA integrity_check").get()).toEqual({ integrity_check: "ok" });
  });

  test("what was in progress runs alone in a process of its own afterwards, and that ends with it", async () => {
    await using place = await Place.make();
    place.write(TASKS);
    const first = await place.serve(SERVE);
    const { client, view } = await user(first.url, "ada");
    const running = await client.submitAll("slow", [{ ms: 400 }, { ms: 400 }, { ms: 400 }]);
    for (const id of running) await view.status(id, "in progress");
    await first.process.end("SIGKILL");

    const second = await place.serve(SERVE);
    client.url = second.url;
    await view.connect();
    const [id = ""] = running;
    await view.status(id, "in progress");
    // The row says so before the process is started.
    if (hasProc) await eventually(() => (childrenOf(second.process.pid).length > 0 ? true : undefined), "an isolated process");
    await view.ended(running);
    for (const each of running) expect(view.tasks.get(each)).toMatchObject({ status: "done", attempt: 1, result: "slept" });
    expect(view.faults).toEqual([]);
    // What the last process left is counted as well as what this one has begun.
    const metrics = await (await fetch(`${second.url}/metrics`)).text();
    expect(/^artel_tasks_in_progress .*$/m.exec(metrics)?.[0]).toBe("artel_tasks_in_progress 0");
    if (hasProc)
      await eventually(() => (childrenOf(second.process.pid).length === 0 ? true : undefined), "the end of all children");
  });

  test.skipIf(!hasProc)("of the server takes the isolated processes along, however busy they are", async () => {
    await using place = await Place.make();
    place.write(TASKS);
    const first = await place.serve(SERVE);
    const { client, view } = await user(first.url, "ada");
    const busy = await client.submit("busy");
    await view.status(busy, "in progress");
    await first.process.end("SIGKILL");
    const second = await place.serve(SERVE);
    client.url = second.url;
    await view.connect();
    await view.status(busy, "in progress");
    const children = await eventually(() => {
      const found = childrenOf(second.process.pid);
      return found.length > 0 ? found : undefined;
    }, "the isolated process");
    await second.process.end("SIGKILL");
    await gone(children, 5_000);
    view.close();
  });
});

describe("a task that kills its process", () => {
  test("is failed as poison after three deaths, of which one is the server's; its neighbours end done", async () => {
    await using place = await Place.make();
    place.write(TASKS);
    const first = await place.serve(SERVE);
    const { client, view } = await user(first.url, "ada");
    const neighbours = await client.submitAll("slow", [{ ms: 300 }, { ms: 300 }, { ms: 300 }]);
    for (const id of neighbours) await view.status(id, "in progress");
    const killer = await client.submit("killer");
    expect(await first.process.ended).toMatchObject({ signal: "SIGKILL" });

    const second = await place.serve(SERVE);
    client.url = second.url;
    await view.connect();
    await view.ended([killer, ...neighbours]);
    expect(await client.task(killer)).toMatchObject({ status: "failed", error: { code: "poison" }, attempt: 1 });
    for (const id of neighbours) expect(await client.task(id)).toMatchObject({ status: "done", attempt: 1 });
    expect(lines(readFileSync(place.path(EFFECTS), "utf8")).filter((id) => id === killer).length).toBe(3);
    expect(view.faults).toEqual([]);
    expect(second.process.running).toBe(true);

    // Once more by its owner's wish: a new life, whose first death is the server's again.
    expect(await client.call("POST", `/tasks/${killer}/retry`)).toMatchObject({ status: 202 });
    expect(await second.process.ended).toMatchObject({ signal: "SIGKILL" });
    view.close();
  });
});
