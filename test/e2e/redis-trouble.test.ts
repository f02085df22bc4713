import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { lines } from "../support/artel-process.ts";
import { Client, type Task } from "../support/e2e-client.ts";
import { ownRedis, rowsOf, Site } from "../support/e2e-site.ts";
import { EFFECTS } from "../support/e2e-tasks.ts";
import { View } from "../support/e2e-view.ts";
import { eventually, LIMIT_MS } from "../support/waiting.ts";

setDefaultTimeout(LIMIT_MS);

/** What a worker ran whose claim Redis has forgotten, and nobody speaks of, is run again after a lease and two comparisons. */
const LATEST_MS = 90_000;

const times = <T>(count: number, make: (n: number) => T): T[] => Array.from({ length: count }, (_, n) => make(n));

/** One user's tasks, with what must become of each. */
class User {
  readonly client: Client;
  readonly view: View;
  readonly expected = new Map<string, Partial<Task>>();

  private constructor(client: Client, view: View) {
    this.client = client;
    this.view = view;
  }

  static async make(url: string, name: string): Promise<User> {
    const client = await Client.register(url, name);
    return new User(client, await View.open(client));
  }

  async submit(name: string, inputs: readonly unknown[], outcome: (n: number) => Partial<Task>): Promise<string[]> {
    const ids = await this.client.submitAll(name, inputs);
    for (const [n, id] of ids.entries()) this.expected.set(id, outcome(n));
    return ids;
  }

  /** Some of every kind. */
  async load(size: number): Promise<void> {
    const done = { status: "done", attempt: 1 } as const;
    await this.submit(
      "quick",
      times(size * 3, (n) => ({ n })),
      (n) => ({ ...done, result: n * 2 }),
    );
    await this.submit(
      "slow",
      times(size, (n) => ({ ms: n % 30 })),
      () => ({ ...done, result: "slept" }),
    );
    await this.submit(
      "failing",
      times(size, (n) => ({ n })),
      () => ({ status: "failed", attempt: 1 }),
    );
    await this.submit(
      "retrying",
      times(size, (n) => ({ until: 1 + (n % 3) })),
      (n) => ({ status: "done", attempt: 1 + (n % 3) }),
    );
  }

  async gated(count: number): Promise<void> {
    const ids = await this.submit(
      "gated",
      times(count, () => ({ gate: "open" })),
      () => ({ status: "done", attempt: 1 }),
    );
    for (const id of ids) await this.view.status(id, "in progress");
  }

  async heard(count: number): Promise<void> {
    await this.view.until(() => this.view.ends.size >= count, `the end of ${count} tasks`);
  }

  /** Waits for all ends, and compares them with what was asked for, what the socket told, and what the rows say. */
  async expectAll(): Promise<void> {
    const { client, view, expected } = this;
    await view.ended([...expected.keys()], LATEST_MS);
    expect(view.faults).toEqual([]);
    for (const [id, outcome] of expected) expect(view.tasks.get(id)).toMatchObject(outcome);
    expect([...expected.keys()].filter((id) => view.ends.get(id) !== 1)).toEqual([]);
    expect(view.tasks.size).toBe(expected.size);
    const listed = await client.tasks();
    expect(listed.length).toBe(expected.size);
    expect(listed.flatMap((task) => view.difference(task) ?? [])).toEqual([]);
    view.close();
  }
}

interface Scene extends AsyncDisposable {
  readonly site: Site;
  readonly ready: () => Promise<number>;
  readonly users: readonly [User, User];
}

/** A server with a thread and a worker beside it, and two users whose gated tasks run. */
async function scene(persist: boolean): Promise<Scene> {
  await using starting = new AsyncDisposableStack();
  const site = starting.use(await Site.make({ persist }));
  const { url } = await site.serve(["--threads", "1", "--slots", "8"]);
  await site.work(["--slots", "8"]);
  const users = [await User.make(url, "ada"), await User.make(url, "bob")] as const;
  for (const user of users) await user.gated(2);
  const resources = starting.move();
  return {
    site,
    users,
    ready: async () => (await fetch(`${url}/health/ready`)).status,
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

/** Nothing was lost, nothing condemned, and where nobody died, nothing suspected. */
async function expectAllWell({ site, users }: Scene): Promise<void> {
  for (const user of users) await user.expectAll();
  const ids = users.flatMap(({ expected }) => [...expected.keys()]);
  expect(rowsOf(site.place, ids).filter((row) => row?.deaths !== 0)).toEqual([]);
  const ran = new Set(lines(readFileSync(site.place.path(EFFECTS), "utf8")));
  for (const user of users)
    for (const [id, { result }] of user.expected) if (result !== undefined) expect(ran.has(id)).toBe(true);
}

async function until(scene: Scene, status: number): Promise<void> {
  await eventually(async () => ((await scene.ready()) === status ? true : undefined), `readiness ${status}`);
}

describe.skipIf(!ownRedis).each([
  ["forgets everything", false],
  ["keeps its data", true],
])("a Redis that %s", (_, persist) => {
  test.concurrent("is killed under load and comes back, twice: everything ends once", async () => {
    await using all = await scene(persist);
    const { site, users } = all;
    const [ada, bob] = users;
    await Promise.all(users.map((user) => user.load(150)));
    await ada.heard(200);
    await site.redis.kill();
    await until(all, 503);
    // Work goes on where it can, and is accepted as ever.
    await bob.load(20);
    const cancelled = await bob.client.submit("slow", { ms: 600_000 });
    bob.expected.set(cancelled, { status: "cancelled" });
    await bob.client.cancel(cancelled);
    site.place.write({ open: "" });
    await site.redis.restart();
    await until(all, 200);
    await bob.heard(400);
    await site.redis.restart();
    await ada.load(20);
    await expectAllWell(all);
  });
});

describe.skipIf(!ownRedis)("under load", () => {
  test.concurrent("FLUSHALL, again and again: everything ends once", async () => {
    await using all = await scene(false);
    const { site, users } = all;
    const [ada, bob] = users;
    await Promise.all(users.map((user) => user.load(200)));
    for (const [user, count] of [
      [ada, 100],
      [bob, 300],
      [ada, 500],
      [bob, 700],
    ] as const) {
      await user.heard(count);
      await site.redis.command("FLUSHALL");
    }
    site.place.write({ open: "" });
    await expectAllWell(all);
    expect(await all.ready()).toBe(200);
  });

  test.concurrent("a Redis that stops answering, though it takes connections, is noticed; everything ends once", async () => {
    await using all = await scene(false);
    const { site, users } = all;
    await Promise.all(users.map((user) => user.load(100)));
    await users[0].heard(100);
    site.redis.pause();
    await until(all, 503);
    await users[1].load(10);
    site.place.write({ open: "" });
    site.redis.resume();
    await until(all, 200);
    await expectAllWell(all);
  });
});
