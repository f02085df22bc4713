/** A server, a worker beside it and two users whose tasks of every kind must all end as they should, whatever becomes of Redis. */
import { expect } from "bun:test";
import { readFileSync } from "node:fs";
import { type ArtelProcess, lines } from "./artel-process.ts";
import { Client, type Task } from "./e2e-client.ts";
import { rowsOf, Site } from "./e2e-site.ts";
import { EFFECTS } from "./e2e-tasks.ts";
import { View } from "./e2e-view.ts";
import type { RedisServerOptions } from "./redis-server.ts";
import { eventually } from "./waiting.ts";

/** What a worker ran whose claim Redis has forgotten, and nobody speaks of, is run again after a lease and two comparisons. */
const LATEST_MS = 90_000;
/** How soon the first task is done once Redis answers again. */
const SOON_MS = 2_000;

/** Says that it runs, then waits for the file `open`: a claim alone may still be given back by a worker that is too busy. */
const HELD = `
import { task, t } from "artel";
import { appendFileSync, existsSync } from "node:fs";
const place = import.meta.dir + "/../";
export default task({
  input: t.Object({}),
  retry: 1,
  async run(_, ctx) {
    ctx.progress(0.5, "held");
    while (!existsSync(place + "open")) await ctx.sleep(10);
    appendFileSync(place + "${EFFECTS}", ctx.task_id + "\\n");
    return "through";
  },
});
`;
/** What it gives back. */
const THROUGH = "through";
const DONE = { status: "done", attempt: 1 } as const;
const times = <T>(count: number, make: (n: number) => T): T[] => Array.from({ length: count }, (_, n) => make(n));

/** One user's tasks, with what must become of each. */
export class User {
  readonly client: Client;
  readonly view: View;
  readonly expected = new Map<string, Partial<Task>>();
  /** With the seq of their start. */
  readonly #held = new Map<string, number | undefined>();

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

  /** Some of every kind, six times `size` in all. */
  async load(size: number): Promise<void> {
    const quick = times(size * 3, (n) => ({ n }));
    await this.submit("quick", quick, (n) => ({ ...DONE, result: n * 2 }));
    const slow = times(size, (n) => ({ ms: n % 30 }));
    await this.submit("slow", slow, () => ({ ...DONE, result: "slept" }));
    const failing = times(size, (n) => ({ n }));
    await this.submit("failing", failing, () => ({ status: "failed", attempt: 1 }));
    const retrying = times(size, (n) => ({ until: 1 + (n % 3) }));
    await this.submit("retrying", retrying, (n) => ({ status: "done", attempt: 1 + (n % 3) }));
  }

  /** These run until the scene is opened. */
  async hold(count: number): Promise<void> {
    const inputs = times(count, () => ({}));
    const ids = await this.submit("held", inputs, () => ({ ...DONE, result: THROUGH }));
    const { tasks } = this.view;
    await this.view.until(() => ids.every((id) => tasks.get(id)?.message === "held"), "the word of those that are held");
    for (const id of ids) this.#held.set(id, tasks.get(id)?.seq);
  }

  /** Those that are held have not been anything else since. */
  expectStillHeld(): void {
    for (const [id, seq] of this.#held) expect(this.view.tasks.get(id)).toMatchObject({ status: "in progress", seq });
  }

  /** All but those that are held have ended. */
  async othersEnded(): Promise<void> {
    const others = [...this.expected].filter(([, { result }]) => result !== THROUGH);
    await this.view.ended(
      others.map(([id]) => id),
      LATEST_MS,
    );
  }

  async heard(count: number): Promise<void> {
    await this.view.until(() => this.view.ends.size >= count, `the end of ${count} tasks`, LATEST_MS);
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

/** Of a server and a worker with one thread each. */
const CONNECTIONS = { artel: 4, "artel-events": 1, "artel-progress": 1, "artel-signals": 2 };

export class Scene implements AsyncDisposable {
  readonly site: Site;
  readonly users: readonly [User, User];
  readonly processes: readonly ArtelProcess[];
  readonly #url: string;
  readonly #resources: AsyncDisposableStack;

  private constructor(parts: Pick<Scene, "site" | "users" | "processes"> & { url: string }, resources: AsyncDisposableStack) {
    this.site = parts.site;
    this.users = parts.users;
    this.processes = parts.processes;
    this.#url = parts.url;
    this.#resources = resources;
  }

  /**
   * Each of the users has two tasks that run.
   *
   * @param lead where processes are to find Redis, in place of its own address
   */
  static async set(options: RedisServerOptions = {}, lead: (site: Site) => string = (site) => site.redis.url): Promise<Scene> {
    await using starting = new AsyncDisposableStack();
    const site = starting.use(await Site.make(options));
    site.place.write({ "tasks/held.ts": HELD });
    site.redisUrl = lead(site);
    const { url, process } = await site.serve(["--threads", "1", "--slots", "8"]);
    const worker = await site.work(["--slots", "8"]);
    const users = [await User.make(url, "ada"), await User.make(url, "bob")] as const;
    for (const user of users) await user.hold(2);
    return new Scene({ site, url, processes: [process, worker], users }, starting.move());
  }

  /** The answer of /health/ready. */
  async readiness(): Promise<{ status: number; broker: { ok: boolean; detail?: string } }> {
    const answer = await fetch(`${this.#url}/health/ready`);
    const { checks } = (await answer.json()) as { checks: { broker: { ok: boolean; detail?: string } } };
    return { status: answer.status, broker: checks.broker };
  }

  /** Waits for this status of /health/ready. */
  async until(status: number): Promise<void> {
    await eventually(async () => (await this.readiness()).status === status || undefined, `readiness ${status}`);
  }

  /** Lets those end that were held, and have been running all the time. */
  open(): void {
    for (const user of this.users) user.expectStillHeld();
    this.site.place.write({ open: "" });
  }

  /** Redis answers again: tasks are done within two seconds, and somebody hears of it. */
  async expectSoon(redis = this.site.redis): Promise<void> {
    const before = this.#ended;
    await redis.command("PING");
    const back = performance.now();
    const more = () => this.#ended > before;
    await Promise.race(this.users.map(({ view }) => view.until(more, "the end of a task")));
    expect(performance.now() - back).toBeLessThan(SOON_MS);
  }

  /** Nothing was lost, nothing condemned, and where nobody died, nothing suspected; what ran all the time ran once. */
  async expectAllWell(): Promise<void> {
    for (const user of this.users) await user.expectAll();
    const rows = rowsOf(this.site.place, [...this.#expected.keys()]);
    expect(rows.filter((row) => row?.deaths !== 0)).toEqual([]);
    const runs = this.#runs();
    const ran = (id: string): number => runs.get(id)?.length ?? 0;
    for (const [id, { result }] of this.#expected) {
      if (result === THROUGH) expect(ran(id)).toBe(1);
      else if (result !== undefined) expect(ran(id)).toBeGreaterThan(0);
    }
  }

  /** Nothing ran twice. */
  expectEachRanOnce(): void {
    expect([...this.#runs().values()].filter((runs) => runs.length > 1)).toEqual([]);
  }

  /** No connection is left over, and none is missing. */
  async expectConnections(redis = this.site.redis): Promise<void> {
    await redis.hasClients(CONNECTIONS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }

  get #ended(): number {
    return this.users.reduce((sum, { view }) => sum + view.ends.size, 0);
  }

  get #expected(): Map<string, Partial<Task>> {
    return new Map(this.users.flatMap(({ expected }) => [...expected]));
  }

  #runs(): Map<string, string[]> {
    return Map.groupBy(lines(readFileSync(this.site.place.path(EFFECTS), "utf8")), (id) => id);
  }
}
