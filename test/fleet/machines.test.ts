import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { type ArtelProcess, lines } from "../support/artel-process.ts";
import { Client, type Task } from "../support/e2e-client.ts";
import { ownRedis, rowsOf, Site, workersOf } from "../support/e2e-site.ts";
import { EFFECTS } from "../support/e2e-tasks.ts";
import { View } from "../support/e2e-view.ts";
import { machines } from "../support/machines.ts";
import { eventually, LIMIT_MS } from "../support/waiting.ts";

setDefaultTimeout(LIMIT_MS);

/** How many tasks each of the users submits, by kind. */
const LOADS = [
  { quick: 8_000, slow: 500, failing: 700, retrying: 800 },
  { quick: 5_000, slow: 500, failing: 700, retrying: 800 },
  { quick: 1_500, slow: 500, failing: 500, retrying: 500 },
] as const;
/** Few enough slots that the suspects of a killed worker, each in a process of its own, do not take all of the test's time. */
const WORK = ["--threads", "1", "--slots", "4", "--drain", "2s"];
/** So many tasks such a worker has at most. */
const SUSPECTS = 16;

type Outcome = Pick<Task, "status" | "attempt" | "result"> & { readonly code: string | null };

/** Why this system has no other machines; undefined: it has. */
function whyNone(): string | undefined {
  if (!ownRedis) return undefined;
  using network = machines(1);
  return network.why;
}
const none = whyNone();
if (none !== undefined) console.log(`no other machines here, so all processes share this one: ${none}`);

const times = <T>(count: number, make: (n: number) => T): T[] => Array.from({ length: count }, (_, n) => make(n));

/** A site whose Redis other machines reach, each over a cable of its own; without machines, its workers run beside each other. */
async function scene(count: number) {
  await using starting = new AsyncDisposableStack();
  const network = starting.use(machines(count));
  if (none === undefined && network.why !== undefined) throw new Error(network.why);
  const bind = ["--bind", "127.0.0.1", ...network.all.map(({ here }) => here)];
  const site = starting.use(await Site.make({ password: "a password", args: bind }));
  const { url } = await site.serve();
  const resources = starting.move();
  const work = (machine: number, ...args: readonly string[]): Promise<ArtelProcess> =>
    site.work([...WORK, ...args], {}, network.all[machine]);
  return { site, url, machines: network.all, work, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

/** One user's tasks, with what must become of each. */
async function submit(client: Client, load: (typeof LOADS)[number]): Promise<Map<string, Outcome>> {
  const kinds: [string, unknown[], (n: number) => Outcome][] = [
    ["slow", times(load.slow, (n) => ({ ms: n % 10 })), () => outcome({ result: "slept" })],
    ["failing", times(load.failing, (n) => ({ n })), () => outcome({ status: "failed", code: "no_luck" })],
    [
      "retrying",
      times(load.retrying, (n) => ({ until: 1 + (n % 3) })),
      (n) => outcome({ attempt: 1 + (n % 3), result: 1 + (n % 3) }),
    ],
    ["quick", times(load.quick, (n) => ({ n })), (n) => outcome({ result: n * 2 })],
  ];
  const outcomes = new Map<string, Outcome>();
  for (const [name, inputs, make] of kinds) {
    const ids = await client.submitAll(name, inputs);
    for (const [n, id] of ids.entries()) outcomes.set(id, make(n));
  }
  return outcomes;
}

const outcome = (differs: Partial<Outcome>): Outcome => ({
  ...{ status: "done", attempt: 1, result: null, code: null },
  ...differs,
});

/** What the socket told of each task, in the form of an outcome. */
const told = ({ tasks }: View): Map<string, Outcome> =>
  new Map(
    [...tasks].map(([id, { status, attempt, result, error }]) => [id, { status, attempt, result, code: error?.code ?? null }]),
  );

/** Seconds, to a tenth. */
const since = (began: number): number => Math.round((performance.now() - began) / 100) / 10;

/** What differs, with both values. */
function differences(heard: ReadonlyMap<string, Outcome>, expected: ReadonlyMap<string, Outcome>): unknown[] {
  const ids = [...new Set([...heard.keys(), ...expected.keys()])];
  return ids.map((id) => [id, heard.get(id), expected.get(id)] as const).filter(([, one, other]) => !Bun.deepEquals(one, other));
}

describe.skipIf(!ownRedis)("one server, its Redis, and workers on two other machines", () => {
  test.concurrent("20,000 tasks of three users end once, while one worker is killed and another one drained and replaced", async () => {
    await using all = await scene(2);
    const { site, url, work } = all;
    const clients = [await Client.register(url, "ada"), await Client.register(url, "bob"), await Client.register(url, "eve")];
    await site.promote(clients[0] as Client);
    const views = await Promise.all(clients.map((client) => View.open(client)));
    const [doomed, drained] = await Promise.all([work(0), work(1)]);
    const began = performance.now();
    const expected = await Promise.all(clients.map((client, i) => submit(client, LOADS[i] as (typeof LOADS)[number])));
    const total = expected.reduce((sum, { size }) => sum + size, 0);
    expect(total).toBe(20_000);
    const ended = (): number => views.reduce((sum, { ends }) => sum + ends.size, 0);
    const afterEnds = (count: number): Promise<unknown> =>
      Promise.race(views.map((view) => view.until(() => ended() >= count, `the end of ${count} tasks`)));

    await afterEnds(2_000);
    await doomed.end("SIGKILL");
    await afterEnds(4_000);
    expect((await drained.end()).code).toBe(0);
    expect(ended()).toBeLessThan(total);
    const replacement = await work(1);
    await afterEnds(total - SUSPECTS);
    const most = since(began);
    for (const [i, view] of views.entries()) await view.ended([...(expected[i] as Map<string, Outcome>).keys()], 60_000);
    const rate = Math.round((total - SUSPECTS) / most);
    console.log(`${total} tasks in ${since(began)} s; all but what the killed worker had in ${most} s, ${rate} tasks/s`);

    const ids: string[] = [];
    for (const [i, view] of views.entries()) {
      const mine = expected[i] as Map<string, Outcome>;
      ids.push(...mine.keys());
      // Every end once, of one's own tasks and of no others, as it was to be.
      expect(view.faults).toEqual([]);
      expect(differences(told(view), mine)).toEqual([]);
      expect([...mine.keys()].filter((id) => view.ends.get(id) !== 1)).toEqual([]);
      // And so say the rows, word for word.
      const listed = await (clients[i] as Client).tasks();
      expect(listed.length).toBe(mine.size);
      expect(listed.flatMap((task) => view.difference(task) ?? [])).toEqual([]);
    }
    // Each stored transition has a number of its own, and somebody has heard of it, unless a socket had to catch up.
    const last = Math.max(...views.flatMap(({ tasks }) => [...tasks.values()].map(({ seq }) => seq)));
    if (views.every(({ reconnects }) => reconnects === 0))
      expect(views.reduce((sum, { transitions }) => sum + transitions, 0)).toBe(last);
    // Only what ran in the killed one is suspected.
    const deaths = rowsOf(site.place, ids).map((row) => row?.deaths ?? -1);
    expect(new Set(deaths).isSubsetOf(new Set([0, 1]))).toBe(true);
    expect(deaths.filter((count) => count === 1).length).toBeLessThanOrEqual(SUSPECTS);
    expect(await workersOf(clients[0] as Client)).toMatchObject([{ pid: replacement.pid, running: 0 }]);
    expect(replacement.log.filter(({ level }) => level === "error")).toEqual([]);
    for (const view of views) view.close();
  });

  test.concurrent.skipIf(none !== undefined)(
    "a machine whose cable is pulled out for longer than a lease loses its tasks, and comes back",
    async () => {
      await using all = await scene(2);
      const { site, url, machines, work } = all;
      const ada = await Client.register(url);
      await site.promote(ada);
      const view = await View.open(ada);
      const [machine] = machines;
      const far = await work(0, "--host", machine?.there ?? "", "--port", "0");
      const pulse = `http://${machine?.there}:${/:(\d+)\/health/.exec(far.stdout)?.[1]}`;
      const held = await ada.submitAll(
        "gated",
        times(3, () => ({ gate: "open" })),
      );
      for (const id of held) await view.status(id, "in progress");
      const before = new Map(held.map((id) => [id, view.tasks.get(id)?.seq]));
      const near = await work(1);

      machine?.unplug();
      expect(await far.logged("Redis is out of reach")).toMatchObject({ level: "warn" });
      // What comes meanwhile is done by the other one, and so is, alone, what the first one has.
      const meanwhile = await ada.submitAll(
        "quick",
        times(500, (n) => ({ n })),
      );
      await view.ended(meanwhile);
      const again = (id: string) => view.tasks.get(id)?.status === "in progress" && view.tasks.get(id)?.seq !== before.get(id);
      await view.until(() => held.some(again), "one of them again");
      expect((await workersOf(ada)).map(({ pid }) => pid)).toEqual([near.pid]);

      machine?.plug();
      await far.logged("Redis is back");
      const inHand = async () => /^artel_jobs_running (\d+)$/m.exec(await (await fetch(`${pulse}/metrics`)).text())?.[1];
      await eventually(async () => ((await inHand()) === "0" ? true : undefined), "the end of what it was running");
      site.place.write({ open: "" });
      await view.ended(held);
      for (const id of [...held, ...meanwhile]) expect([view.tasks.get(id)?.status, view.ends.get(id)]).toEqual(["done", 1]);
      expect(rowsOf(site.place, held)).toMatchObject(held.map(() => ({ attempt: 1, deaths: 1 })));
      // It is a worker as before.
      await near.end();
      const next = await ada.submit("quick", { n: 1 });
      await view.ended([next]);
      expect(lines(readFileSync(site.place.path(EFFECTS), "utf8")).sort()).toEqual([...held, ...meanwhile, next].sort());
      expect(view.faults).toEqual([]);
      expect((await far.end()).code).toBe(0);
      view.close();
    },
  );
});
