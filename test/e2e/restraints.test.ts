import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { Place } from "../support/artel-process.ts";
import { Client, expectStatus } from "../support/e2e-client.ts";
import { ownRedis, Site } from "../support/e2e-site.ts";
import { View } from "../support/e2e-view.ts";
import { eventually, LIMIT_MS } from "../support/waiting.ts";

setDefaultTimeout(LIMIT_MS);

/** Leaves a line in `log` when it begins and one when it ends, and waits for the gate in between. */
const steps = (options: string): string => `
import { task, t } from "artel";
import { appendFileSync, existsSync } from "node:fs";
const here = import.meta.dir + "/../";
export default task({
  input: t.Object({ gate: t.Optional(t.String()) }), retry: 1, ${options},
  async run({ gate }, ctx) {
    appendFileSync(here + "log", "+" + ctx.owner_id + "\\n");
    while (gate && !existsSync(here + gate)) await ctx.sleep(5);
    await ctx.sleep(5);
    appendFileSync(here + "log", "-" + ctx.owner_id + "\\n");
  },
});
`;
const FILES = {
  log: "",
  "tasks/two.ts": steps("concurrency: 2"),
  "tasks/each.ts": steps("perUser: 1"),
  "tasks/paced.ts": steps('rate: "10/s"'),
  "tasks/free.ts": steps('queue: "free"'),
  "tasks/hourly.ts": steps('rate: { limit: 1, per: "1h" }'),
};

type Named = Readonly<Record<string, unknown>>;

/** Owners of the runs, by whether they began (+) or ended (-). */
const log = (place: Place): string[] => readFileSync(place.path("log"), "utf8").split("\n").filter(Boolean);
const begun = (place: Place): number => log(place).filter((line) => line.startsWith("+")).length;

/** The most that ran at the same time, of everybody or of one owner. */
function most(place: Place, owner = ""): number {
  let [running, highest] = [0, 0];
  for (const line of log(place)) {
    if (!line.endsWith(owner)) continue;
    running += line.startsWith("+") ? 1 : -1;
    highest = Math.max(highest, running);
  }
  return highest;
}

const count = (place: Place, wanted: number): Promise<true> =>
  eventually(() => (begun(place) >= wanted ? true : undefined), `${wanted} that have begun`);

const inputs = (n: number, input: object = {}): object[] => Array.from({ length: n }, () => input);

/** Everything that holds whoever does the work. */
async function expectLimits(place: Place, clients: readonly [Client, Client]): Promise<void> {
  const [ada, ben] = clients;
  const view = await View.open(ada);
  const other = await View.open(ben);

  const two = await ada.submitAll("two", inputs(12, { gate: "open-two" }));
  await count(place, 2);
  const free = await ada.submitAll("free", inputs(3));
  await view.ended(free);
  place.write({ "open-two": "" });
  await view.ended(two);
  expect(begun(place)).toBe(15);
  // Three others ran beside them while two held the gate.
  const others = 3;
  expect(most(place)).toBeLessThanOrEqual(2 + others);

  place.write({ log: "" });
  const each = await Promise.all(clients.map((client) => client.submitAll("each", inputs(6, { gate: "open-each" }))));
  await count(place, 2);
  expect(new Set(log(place)).size).toBe(2);
  place.write({ "open-each": "" });
  await view.ended(each[0] ?? []);
  await other.ended(each[1] ?? []);
  for (const { id } of clients) expect(most(place, id)).toBe(1);

  place.write({ log: "" });
  const before = Date.now();
  await view.ended(await ada.submitAll("paced", inputs(11)));
  // The first begins at once, each of the ten others a tenth of a second after the one before, or later.
  expect(Date.now() - before).toBeGreaterThanOrEqual(1_000);
}

test("limits of a task hold for all threads", async () => {
  await using place = await Place.make();
  place.write(FILES);
  const { url } = await place.serve(["--tasks", "tasks", "--threads", "2"]);
  await expectLimits(place, [await Client.register(url), await Client.register(url, "ben")]);
  const answer = await (await Client.register(url, "eve")).call("GET", "/tasks/definitions");
  const [two] = (expectStatus(200, answer) as { name: string }[]).filter(({ name }) => name === "two");
  expect(two).toMatchObject({ concurrency: 2, per_user: null, starts_per_second: null });
});

describe.skipIf(!ownRedis)("with two worker processes", () => {
  test("limits of a task hold for both together", async () => {
    await using site = await Site.make();
    site.place.write(FILES);
    const { url } = await site.serve();
    await site.work(["--threads", "2"]);
    await site.work(["--threads", "1"]);
    await expectLimits(site.place, [await Client.register(url), await Client.register(url, "ben")]);
  });

  test("and after Redis has lost everything that it knew", async () => {
    await using site = await Site.make();
    const { place } = site;
    place.write(FILES);
    const { url } = await site.serve();
    await site.work();
    await site.work();
    const ada = await Client.register(url);
    const view = await View.open(ada);
    const ids = await ada.submitAll("two", inputs(8, { gate: "open" }));
    await count(place, 2);
    await site.redis.command("FLUSHALL");
    await view.ended(await ada.submitAll("free", inputs(1)));
    place.write({ open: "" });
    await view.ended(ids);
    expect(most(place)).toBeLessThanOrEqual(3);
    const beside = log(place).length;
    expect(beside).toBe(18);
  });
});

test("an admin pauses tasks and queues; that outlasts a restart, and everybody sees why a task waits", async () => {
  await using place = await Place.make();
  place.write(FILES);
  const args = ["--tasks", "tasks", "--threads", "1"];
  const { url, process } = await place.serve(args);
  const ada = await Client.register(url);
  const root = await Client.register(url, "root");
  expect((await place.run(["user", "promote", "root@example.com"])).code).toBe(0);
  const pause = async (path: string): Promise<true | undefined> =>
    (await root.call("POST", `${path}/pause`)).status === 200 ? true : undefined;
  await eventually(() => pause("/tasks/definitions/two"), "an admin's rights");
  expect(await pause("/queues/free")).toBe(true);
  expect(await ada.call("POST", "/queues/free/resume")).toMatchObject({ status: 403 });
  expect(await root.call("POST", "/queues/nowhere/pause")).toMatchObject({ status: 404, body: { code: "unknown_queue" } });
  expect(await root.call("POST", "/tasks/definitions/nothing/pause")).toMatchObject({
    status: 404,
    body: { code: "unknown_task" },
  });

  const waiting = [await ada.submit("two"), await ada.submit("free")] as const;
  const view = await View.open(ada);
  await view.ended([await ada.submit("each")]);
  expect(await ada.task(waiting[0])).toMatchObject({ status: "queued", waiting: 'the task "two" is paused' });
  expect(await ada.task(waiting[1])).toMatchObject({ status: "queued", waiting: 'the queue "free" is paused' });
  const queues = expectStatus(200, await root.call("GET", "/queues")) as { items: { queue: string; tasks: object[] }[] };
  expect(queues.items.map(({ queue }) => queue)).toEqual(["default", "free"]);
  expect(queues.items[1]).toMatchObject({
    paused: true,
    tasks: [{ name: "free", paused: false, queued: 1, waiting: 'the queue "free" is paused' }],
  });
  expect(queues.items[0]?.tasks).toContainEqual(
    expect.objectContaining({ name: "each", paused: false, queued: 0, waiting: null }),
  );

  await process.end();
  const again = await place.serve(args);
  for (const client of [ada, root]) client.url = again.url;
  const later = await View.open(ada);
  await later.ended([await ada.submit("each")]);
  expect((await ada.task(waiting[0])).status).toBe("queued");
  expect((await root.call("POST", "/tasks/definitions/two/resume")).status).toBe(200);
  expect((await root.call("POST", "/queues/free/resume")).status).toBe(200);
  await later.ended(waiting);
  expect((await again.process.end()).code).toBe(0);
});

test("whoever asks is told which limit a task waits for, and admins how far each is", async () => {
  await using place = await Place.make();
  place.write(FILES);
  const { url, process } = await place.serve(["--tasks", "tasks", "--threads", "1"]);
  const ada = await Client.register(url);
  const root = await Client.register(url, "root");
  expect((await place.run(["user", "promote", "root@example.com"])).code).toBe(0);
  const queues = async () => {
    const answer = await root.call("GET", "/queues");
    return answer.status === 200
      ? (answer.body as { items: { queue: string; queued: number; tasks: Named[] }[] }).items
      : undefined;
  };
  await eventually(queues, "an admin's rights");

  const view = await View.open(ada);
  const [firstOfTwo, secondOfTwo, two] = await ada.submitAll("two", inputs(3, { gate: "open" }));
  const [ofEach, each] = await ada.submitAll("each", inputs(2, { gate: "open" }));
  await view.ended([await ada.submit("hourly")]);
  const hourly = await ada.submit("hourly");
  const running = [firstOfTwo, secondOfTwo, ofEach].map((id = "") => id);
  await view.until(() => running.every((id) => view.tasks.get(id)?.status === "in progress"), "all run that may");

  const waits = async (id = ""): Promise<unknown> => ((await ada.task(id)) as { waiting?: string }).waiting;
  expect(await waits(two)).toBe('the task "two" has reached its limit: 2 of 2 run');
  expect(await waits(each)).toBe('its owner has as many of the task "each" running as one user may: 1 of 1');
  const rate = (await waits(hourly)) as string;
  const [, at = ""] = /^the task "hourly" has used up its rate: the next one begins at (\S+Z)$/.exec(rate) ?? [];
  expect(Date.parse(at) - Date.now()).toBeWithin(3_000_000, 3_600_001);
  const [queue] = (await queues()) ?? [];
  expect(queue).toMatchObject({ queue: "default", queued: 3 });
  const none = { concurrency: null, per_user: null, running: null, users_at_limit: 0, queued_of_those: 0, next_start_at: null };
  const named = (name: string) => queue?.tasks.find((task) => task["name"] === name);
  expect(named("two")).toEqual({
    ...{ name: "two", paused: false, queued: 1, waiting: 'the task "two" has reached its limit: 2 of 2 run' },
    limits: { ...none, concurrency: 2, running: 2 },
  });
  expect(named("each")).toEqual({
    ...{ name: "each", paused: false, queued: 1 },
    waiting: "1 of 1 queued are of users who have as many running as one may: 1",
    limits: { ...none, per_user: 1, running: 1, users_at_limit: 1, queued_of_those: 1 },
  });
  expect(named("hourly")).toMatchObject({ queued: 1, limits: { ...none, next_start_at: expect.stringMatching(/Z$/) } });
  expect(named("paced")).toEqual({ name: "paced", paused: false, queued: 0, waiting: null, limits: none });
  expect(named("parse")).toMatchObject({ limits: null });
  expect((await place.run(["task", "show", hourly], { ARTEL_SERVER: url, ARTEL_TOKEN: ada.token })).stdout).toMatch(
    /^waiting +the task "hourly" has used up its rate/m,
  );

  place.write({ open: "" });
  await view.ended([two ?? "", each ?? ""]);
  expect((await process.end()).code).toBe(0);
});
