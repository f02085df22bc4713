import { Database } from "bun:sqlite";
import { expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { STATUSES } from "../../src/domain/task.ts";
import { Keys } from "../../src/drivers/redis/keys.ts";
import { WINDOW } from "../../src/services/window.ts";
import { hasProc, lines, Place, type Served } from "../support/artel-process.ts";
import { onRedis } from "../support/broker.ts";
import { Client } from "../support/e2e-client.ts";
import { ownRedis, Site } from "../support/e2e-site.ts";
import { EFFECTS, TASKS } from "../support/e2e-tasks.ts";
import { View } from "../support/e2e-view.ts";
import { isNotice, type Message, type Ready } from "../support/notices.ts";
import { fileLimits, readBy, residentOf, ticksOf } from "../support/process-figures.ts";
import { RawSocket } from "../support/raw-socket.ts";
import type { RedisServer } from "../support/redis-server.ts";
import { Crowd } from "../support/socket-crowd.ts";
import { eventually, LIMIT_MS, within } from "../support/waiting.ts";

setDefaultTimeout(LIMIT_MS);

const KIB = 1024;
/** What an idle socket may cost the server. */
const SOCKET_BYTES = 16 * KIB;
/** So many tasks of somebody else, one after the other, at least have their turn while the sockets open; a thousand would on an idle machine, one or two if nobody had turns. */
const SERVED = 10;
/** A task whose result goes into its notice whole. */
const LARGE = `
import { task, t } from "artel";
export default task({ input: t.Object({ n: t.Integer() }), run: () => "x".repeat(60_000) });
`;
/** A task in a queue of its own. */
const LATER = `
import { task, t } from "artel";
export default task({ queue: "later", input: t.Object({ n: t.Integer() }), run: () => null });
`;

async function metric(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1]);
}

/** One of a redis-server's own counts. */
async function infoOf(redis: RedisServer, field: string): Promise<number> {
  return Number(new RegExp(`^${field}:(\\d+)`, "m").exec(String(await redis.command("INFO")))?.[1]);
}

/** Registers users, and starts the server again: what it cost to hash their passwords would hide what else it needs. */
async function usersOf(serve: () => Promise<Served>, names: readonly string[]): Promise<{ served: Served; users: Client[] }> {
  const first = await serve();
  const users: Client[] = [];
  for (const name of names) users.push(await Client.register(first.url, name));
  expect((await first.process.end()).code).toBe(0);
  const served = await serve();
  for (const user of users) user.url = served.url;
  return { served, users };
}

/** Has somebody's tasks done, one after the other, until `other` is done. @returns how many */
async function meanwhile(other: Promise<unknown>, client: Client, view: View): Promise<number> {
  let count = 0;
  let over = false;
  const done = other.finally(() => {
    over = true;
  });
  for (; !over; count += 1) await view.ended([await client.submit("quick", { n: count })]);
  await done;
  return count;
}

test.skipIf(!hasProc || onRedis)("it takes as many open files as the system lets it", async () => {
  await using place = await Place.make();
  const few = ["sh", "-c", 'ulimit -S -n 256 && exec "$@"', "sh"];
  const process = place.start(["serve", "--port", "0", "--threads", "1"], {}, few);
  await process.until(() => /http:/.exec(process.stdout) ?? undefined, "the ready line");
  const [now, most] = fileLimits(process.pid);
  expect(now).toBe(most);
});

const USERS = Array.from({ length: 10 }, (_, i) => `user-${i}`);
const SOCKETS_EACH = 1_000;
const SOCKETS = USERS.length * SOCKETS_EACH;

const roomForSockets = hasProc && fileLimits("self")[1] > SOCKETS + 500;
if (!roomForSockets) console.log("left out: 10,000 sockets, for which a process may not have enough open files here");

// What is measured is one process, whichever broker is behind it.
test.skipIf(!roomForSockets || onRedis)(
  "10,000 sockets: each hears of its user's tasks and no others, at little memory, and others are served",
  async () => {
    await using place = await Place.make();
    place.write(TASKS);
    const { served, users } = await usersOf(() => place.serve(["--tasks", "tasks", "--threads", "1"]), [...USERS, "other"]);
    const { pid } = served.process;
    const other = users.pop() as Client;
    const view = await View.open(other);
    const plan = { url: served.url, tokens: users.map(({ token }) => token), socketsEach: SOCKETS_EACH };
    const sockets = (): Promise<number> => metric(served.url, "artel_sockets");
    const files = (): number => readdirSync(`/proc/${pid}/fd`).length;
    const [filesBefore, before] = [files(), residentOf(pid)];
    // The second crowd finds the memory that the first one has left.
    for (let round = 0; round < 2; round += 1) {
      const opening = Crowd.open(plan);
      // Handshakes by the thousand do not keep others from their turns.
      expect(await meanwhile(opening, other, view)).toBeGreaterThan(SERVED);
      {
        await using crowd = await opening;
        expect(await sockets()).toBe(SOCKETS + 1);
        expect((residentOf(pid) - before) / SOCKETS).toBeLessThan(SOCKET_BYTES);

        const views = await Promise.all(users.map((user) => View.open(user)));
        const ids = await Promise.all(users.map((user) => user.submitAll("quick", [{ n: 1 }, { n: 2 }])));
        await Promise.all(views.map((each, i) => each.ended(ids[i] ?? [])));
        for (const each of views) each.close();
        expect(await crowd.hear()).toEqual(ids.map((mine) => ({ [mine.toSorted().join()]: SOCKETS_EACH })));
      }
      await eventually(async () => ((await sockets()) === 1 ? true : undefined), "the end of the sockets");
      // Connections that are kept for further calls may have been added.
      expect(files()).toBeLessThan(filesBefore + 50);
    }
    expect(view.faults).toEqual([]);
  },
);

const BACKLOG = 100_000;
const THOUSAND = Array.from({ length: 1_000 }, (_, n) => ({ n }));

async function queue(client: Client, name: string, count: number): Promise<void> {
  for (let queued = 0; queued < count; queued += THOUSAND.length) await client.submitAll(name, THOUSAND);
}

test("behind 100,000 tasks of one user another's has its turn next; a restart knows all of them", async () => {
  await using place = await Place.make();
  place.write(TASKS);
  const serve = (...args: string[]) => place.serve(["--tasks", "tasks", "--drain", "0s", ...args]);
  const { url, process } = await serve("--threads", "1", "--slots", "1");
  const [ada, bob] = [await Client.register(url, "ada"), await Client.register(url, "bob")];
  const view = await View.open(bob);
  await ada.submit("gated", { gate: "open" });
  await queue(ada, "quick", BACKLOG);
  const single = await bob.submit("quick", { n: 1 });
  place.write({ open: "" });
  await view.ended([single]);
  // Before it came what the thread had in its hands, and a few of the turn before.
  expect(lines(readFileSync(place.path(EFFECTS), "utf8")).indexOf(single)).toBeLessThan(20);
  expect((await process.end()).code).toBe(0);

  const again = await serve("--threads", "0");
  // The window's rows and an index of the others, not all of them.
  if (hasProc) expect(readBy(again.process.pid)).toBeLessThan(statSync(place.path("data/artel.db")).size / 2);
  using db = new Database(place.path("data/artel.db"), { readonly: true });
  const queued = db.query<{ n: number }, [number]>("SELECT count(*) AS n FROM tasks WHERE status = ?");
  const left = queued.get(STATUSES.indexOf("queued"))?.n ?? 0;
  expect(left).toBeGreaterThan(BACKLOG / 2);
  const count = (name: string): Promise<number> => metric(again.url, `artel_tasks_${name}`);
  expect([await count("pending"), (await count("in_broker")) + (await count("waiting"))]).toEqual([left, left]);
  expect(await count("in_broker")).toBeLessThanOrEqual(WINDOW.total);
});

/** What a few hundred tasks cost that are done one after the other, and what is there then. */
async function costs({ process }: Served, redis: RedisServer, client: Client, view: View) {
  const before = [await infoOf(redis, "total_commands_processed"), ticksOf(process.pid)] as const;
  for (let n = 0; n < 300; n += 1) await view.ended([await client.submit("quick", { n })]);
  const { jobs, prefix } = new Keys("artel");
  const lanes = (await redis.command("KEYS", `${prefix}lane:*`)) as string[];
  const lengths = await Promise.all(lanes.map((lane) => redis.command("LLEN", lane)));
  return {
    commands: (await infoOf(redis, "total_commands_processed")) - before[0],
    ticks: ticksOf(process.pid) - before[1],
    keys: Number(await redis.command("DBSIZE")),
    jobs: Number(await redis.command("HLEN", jobs)),
    lanes: lengths.map(Number).sort((a, b) => b - a),
    redisBytes: await infoOf(redis, "used_memory"),
    residentBytes: residentOf(process.pid),
  };
}

test.skipIf(!ownRedis || !hasProc)(
  "behind 100,000 tasks that wait a task costs what it costs behind 1,000, and Redis holds a window of them",
  async () => {
    await using site = await Site.make();
    const { place, redis } = site;
    place.write({ "tasks/later.ts": LATER });
    const { served, users } = await usersOf(() => site.serve(), ["ada", "bob", "carl"]);
    const [ada, bob, carl] = users as [Client, Client, Client];
    await site.work(["--queues", "default"]);
    const view = await View.open(bob);
    // The first ones pay for what is made once, and for the memory that the others left.
    const behind = async (): Promise<ReturnType<typeof costs>> => {
      await costs(served, redis, bob, view);
      return await costs(served, redis, bob, view);
    };
    await queue(ada, "later", 1_000);
    const few = await behind();
    await queue(ada, "later", BACKLOG);
    await queue(carl, "later", 5_000);
    const many = await behind();

    expect(many.commands).toBeLessThan(1.3 * few.commands);
    expect(many.ticks).toBeLessThan(2 * few.ticks);
    // One lane more; where there is much already, it is a short one.
    expect(many.keys - few.keys).toBeLessThanOrEqual(1);
    expect(many.lanes).toEqual([WINDOW.roomy ?? 0, WINDOW.lane]);
    expect(many.jobs).toBeLessThan(WINDOW.total);
    expect(many.redisBytes - few.redisBytes).toBeLessThan(32 * KIB * KIB);
    expect(many.residentBytes - few.residentBytes).toBeLessThan(160 * KIB * KIB);
    expect(view.faults).toEqual([]);
  },
);

const messagesOf = (frames: readonly { opcode: number; payload: Buffer }[]): Message[] =>
  frames.filter(({ opcode }) => opcode === 1).map(({ payload }) => JSON.parse(String(payload)) as Message);

/** The frames of a socket up to the word that it has caught up. */
async function caughtUp(socket: RawSocket): Promise<Message[]> {
  const messages: Message[] = [];
  while (messages.at(-1)?.type !== "caught_up") {
    const frame = await within(socket.frame(), "the next frame");
    if (!frame) throw new Error(`cut off after ${messages.length} messages`);
    messages.push(...messagesOf([frame]));
  }
  return messages;
}

test.skipIf(!hasProc || onRedis)(
  "readers that stop are cut off before they cost much, and miss nothing when they come back",
  async () => {
    await using place = await Place.make();
    place.write({ "tasks/large.ts": LARGE });
    const { url, process } = await place.serve(["--tasks", "tasks", "--threads", "1"]);
    const ada = await Client.register(url);
    const view = await View.open(ada);
    const ids = await ada.submitAll("large", THOUSAND.slice(0, 20));
    await view.ended(ids);
    const open = async (query = ""): Promise<RawSocket> =>
      await RawSocket.open(Number(new URL(url).port), `/ws/notifications${query}`, { authorization: `Bearer ${ada.token}` });
    const readers: RawSocket[] = [];
    for (let i = 0; i < 20; i += 1) readers.push(await open());
    for (const reader of readers) reader.pause();
    const before = residentOf(process.pid);
    // The kernel takes some megabytes before anything waits in the server; 60 MB for each are far more.
    for (let round = 0; round < 20 && (await metric(url, "artel_sockets")) > 1; round += 1) {
      const more = await ada.submitAll("large", THOUSAND.slice(0, 50));
      await view.ended(more);
      ids.push(...more);
    }
    expect(await metric(url, "artel_sockets")).toBe(1);
    expect(residentOf(process.pid) - before).toBeLessThan(400 * KIB * KIB);

    const [reader, ...others] = readers as [RawSocket, ...RawSocket[]];
    for (const other of others) other.destroy();
    reader.resume();
    const heard = messagesOf(await within(reader.rest(), "the end of what the kernel had taken"));
    const { epoch, seq } = heard[0] as unknown as Ready;
    const again = await open(`?since=${heard.findLast(isNotice)?.seq ?? seq}&epoch=${epoch}`);
    heard.push(...(await caughtUp(again)));
    again.destroy();
    const done = heard.filter(isNotice).filter(({ status }) => status === "done");
    expect(done.map(({ task_id }) => task_id).sort()).toEqual(ids.slice(20).sort());
  },
);
