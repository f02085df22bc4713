import { Database } from "bun:sqlite";
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { childrenOf, gone, hasProc, lines, Place, type Served } from "../support/artel-process.ts";
import { Client } from "../support/e2e-client.ts";
import { EFFECTS, TASKS } from "../support/e2e-tasks.ts";
import { View } from "../support/e2e-view.ts";
import { eventually, LIMIT_MS } from "../support/waiting.ts";

setDefaultTimeout(LIMIT_MS);

const SERVE = ["--tasks", "tasks", "--threads", "1", "--slots", "4"];
/** What a busy machine may take on top of a drain, in milliseconds. */
const SLACK_MS = 3_000;

async function start(
  args: readonly string[] = [],
): Promise<{ place: Place; served: Served; client: Client; view: View } & AsyncDisposable> {
  const place = await Place.make();
  place.write(TASKS);
  const served = await place.serve([...SERVE, ...args]);
  const client = await Client.register(served.url);
  const view = await View.open(client);
  return {
    place,
    served,
    client,
    view,
    async [Symbol.asyncDispose]() {
      view.close();
      await place[Symbol.asyncDispose]();
    },
  };
}

/** Starts on the same data again; client and view go on with it. */
async function again({ place, client, view }: { place: Place; client: Client; view: View }): Promise<Served> {
  const served = await place.serve(SERVE);
  client.url = served.url;
  await view.connect();
  return served;
}

/** What the rows of a server that has ended say of some tasks: its shutdown must have cost them nothing. */
function rowsOf(place: Place, ids: readonly string[]): unknown[] {
  using db = new Database(place.path("data/artel.db"), { readonly: true });
  const row = db.query("SELECT attempt, deaths FROM tasks WHERE id = ?");
  return ids.map((id) => row.get(id));
}

const FREE = { attempt: 1, deaths: 0 };
/** One crash, and nothing since. */
const SUSPECT = { attempt: 1, deaths: 1 };

describe.each(["SIGTERM", "SIGINT"] as const)("%s", (signal) => {
  test("short tasks finish, long ones are given back at no cost, sockets close with 1012, exit 0 in time", async () => {
    await using all = await start(["--drain", "2s"]);
    const { place, served, client, view } = all;
    const short = await client.submit("slow", { ms: 300 });
    const long = await client.submit("gated", { gate: "open" });
    await view.status(short, "in progress");
    await view.status(long, "in progress");

    const asked = Date.now();
    expect(await served.process.end(signal)).toMatchObject({ code: 0, signal: null });
    expect(Date.now() - asked).toBeLessThan(2_000 + SLACK_MS);
    await eventually(() => view.closed, "the socket's end");
    expect(view.closed).toMatchObject({ code: 1012 });
    // All of it was told before the socket closed.
    expect(view.tasks.get(short)).toMatchObject({ status: "done", result: "slept", attempt: 1 });
    expect(view.tasks.get(long)).toMatchObject({ status: "queued", attempt: 1 });
    expect(rowsOf(place, [short, long])).toEqual([FREE, FREE]);

    await again(all);
    await view.status(long, "in progress");
    place.write({ open: "" });
    await view.ended([long]);
    expect(await client.task(long)).toMatchObject({ status: "done", result: "through", attempt: 1 });
    expect(view.faults).toEqual([]);
    expect(lines(readFileSync(place.path(EFFECTS), "utf8")).sort()).toEqual([long, short].sort());
  });

  test("a task that heeds nothing does not hold it up, and is given back as well", async () => {
    await using all = await start(["--drain", "1s"]);
    const { place, served, client, view } = all;
    const busy = await client.submit("busy");
    await view.status(busy, "in progress");
    const asked = Date.now();
    expect((await served.process.end(signal)).code).toBe(0);
    expect(Date.now() - asked).toBeLessThan(1_000 + SLACK_MS);
    expect(rowsOf(place, [busy])).toEqual([FREE]);
    await again(all);
    await view.status(busy, "in progress");
    await client.cancel(busy);
    await view.ended([busy]);
    expect(view.tasks.get(busy)).toMatchObject({ status: "cancelled" });
    expect(view.faults).toEqual([]);
  });

  test("a second one ends it at once, and the next start loses nothing", async () => {
    await using all = await start(["--drain", "10m"]);
    const { place, served, client, view } = all;
    const long = await client.submit("gated", { gate: "open" });
    await view.status(long, "in progress");
    served.process.signal(signal);
    await served.process.logged("draining");
    const asked = Date.now();
    expect((await served.process.end(signal)).code).toBe(0);
    expect(Date.now() - asked).toBeLessThan(SLACK_MS);
    await again(all);
    place.write({ open: "" });
    await view.ended([long]);
    expect(await client.task(long)).toMatchObject({ status: "done", attempt: 1 });
  });

  test("with nothing to do it ends at once", async () => {
    await using place = await Place.make();
    const { process } = await place.serve(["--drain", "10m"]);
    expect((await process.end(signal)).code).toBe(0);
  });
});

describe("a drain", () => {
  test("under load costs no task an attempt, and what is accepted during it is kept", async () => {
    await using all = await start(["--drain", "1s"]);
    const { place, served, client, view } = all;
    const long = await client.submit("gated", { gate: "open" });
    const accepted = await client.submitAll(
      "quick",
      Array.from({ length: 1_000 }, (_, n) => ({ n })),
    );
    accepted.push(
      ...(await client.submitAll(
        "slow",
        Array.from({ length: 500 }, (_, n) => ({ ms: n % 10 })),
      )),
    );
    await view.until(() => view.ends.size > 200, "the first 200");
    served.process.signal("SIGTERM");
    let late = 0;
    try {
      for (; ; late += 1) accepted.push(await client.submit("quick", { n: late }));
    } catch {
      // Gone.
    }
    expect((await served.process.ended).code).toBe(0);
    const before = rowsOf(place, accepted);
    expect(before).toEqual(before.map(() => FREE));
    expect(late).toBeGreaterThan(0);
    place.write({ open: "" });
    await again(all);
    await view.ended([...accepted, long]);
    for (const id of accepted) expect([view.tasks.get(id)?.status, view.ends.get(id)]).toEqual(["done", 1]);
    expect(view.faults).toEqual([]);
    // Nothing died, so nothing ran twice.
    expect(lines(readFileSync(place.path(EFFECTS), "utf8")).sort()).toEqual([...accepted, long].sort());
  });

  test.skipIf(!hasProc)("takes the isolated processes along and gives their tasks back", async () => {
    await using all = await start();
    const { client, view } = all;
    const long = await client.submit("gated", { gate: "open" });
    await view.status(long, "in progress");
    const busy = await client.submit("busy");
    await view.status(busy, "in progress");
    await all.served.process.end("SIGKILL");
    const before = new Map([busy, long].map((id) => [id, view.tasks.get(id)?.seq]));
    const second = await all.place.serve([...SERVE, "--drain", "1s"]);
    client.url = second.url;
    await view.connect();
    // Both are suspects, and one has its turn after the other.
    await view.until(
      () => [busy, long].some((id) => view.tasks.get(id)?.status === "in progress" && view.tasks.get(id)?.seq !== before.get(id)),
      "an isolated task",
    );
    const children = await eventually(() => {
      const found = childrenOf(second.process.pid);
      return found.length > 0 ? found : undefined;
    }, "an isolated process");
    expect((await second.process.end()).code).toBe(0);
    await gone(children, SLACK_MS);
    expect(rowsOf(all.place, [busy, long])).toEqual([SUSPECT, SUSPECT]);
  });
});
