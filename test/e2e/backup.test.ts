import { Database } from "bun:sqlite";
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { type Ended, lines, Place } from "../support/artel-process.ts";
import { Client, call, type Task } from "../support/e2e-client.ts";
import { ownRedis, rowsOf, Site } from "../support/e2e-site.ts";
import { EFFECTS, TASKS } from "../support/e2e-tasks.ts";
import { View } from "../support/e2e-view.ts";
import { eventually, LIMIT_MS, within } from "../support/waiting.ts";

setDefaultTimeout(LIMIT_MS);

const SERVE = ["--tasks", "tasks", "--threads", "1", "--slots", "2"];
const PAGE_BYTES = 4_096;
const GATE = { gate: "open" };

function expectFailed({ code, stdout, stderr }: Ended, named: string): void {
  expect({ code, stdout, lines: lines(stderr).length }).toEqual({ code: 1, stdout: "", lines: 1 });
  expect(stderr).toContain(named);
}

/** What a client is told first that comes back with what it has seen of an earlier life. */
async function firstWord({ url, token }: Client, query: string): Promise<string> {
  const socket = new WebSocket(`${url.replace("http", "ws")}/ws/notifications${query}`, {
    headers: { authorization: `Bearer ${token}` },
  } as unknown as string[]);
  const { promise, resolve } = Promise.withResolvers<string>();
  socket.onmessage = ({ data }) => {
    const { type } = JSON.parse(String(data)) as { type: string };
    if (type !== "ready") resolve(type);
  };
  return await within(promise, "a message behind ready").finally(() => socket.close());
}

const epochOf = async ({ url, token }: Client): Promise<{ epoch: string; seq: number }> => {
  const socket = new WebSocket(`${url.replace("http", "ws")}/ws/notifications`, {
    headers: { authorization: `Bearer ${token}` },
  } as unknown as string[]);
  const { promise, resolve } = Promise.withResolvers<string>();
  socket.onmessage = ({ data }) => resolve(String(data));
  return JSON.parse(await within(promise, "ready").finally(() => socket.close())) as { epoch: string; seq: number };
};

describe("a backup beside a server", () => {
  test.concurrent("under load holds all that was accepted before it, is sound and nobody else's; the server goes on", async () => {
    await using place = await Place.make();
    place.write(TASKS);
    const { url } = await place.serve(SERVE);
    const ada = await Client.register(url);
    const accepted: string[] = [];
    let over = false;
    const load = (async () => {
      for (let n = 0; !over; n += 1) accepted.push(...(await ada.submitAll("quick", [{ n }, { n }, { n }])));
    })();
    await eventually(() => (accepted.length > 100 ? true : undefined), "some tasks");
    let before: string[] = [];
    let name = "";
    let during = 0;
    // A busy machine may give the server no turn in the time of one; held up, it would have none in any.
    for (let n = 1; n <= 10 && during === 0; n += 1) {
      name = `kept-${n}.db`;
      before = [...accepted];
      expect(await place.run(["backup", name])).toMatchObject({
        code: 0,
        stdout: expect.stringMatching(/^kept-\d+\.db: \d+ bytes, sound\n$/),
        stderr: "",
      });
      during = accepted.length - before.length;
    }
    over = true;
    await load;
    expect(during).toBeGreaterThan(0);
    expect(statSync(place.path(name)).mode & 0o777).toBe(0o600);
    {
      using db = new Database(place.path(name), { readonly: true });
      const ids = new Set(
        db
          .query<{ id: string }, []>("SELECT id FROM tasks")
          .all()
          .map(({ id }) => id),
      );
      expect(before.filter((id) => !ids.has(id))).toEqual([]);
      expect(db.query("PRAGMA integrity_check").values()).toEqual([["ok"]]);
    }
    // A name that is taken is left alone; nothing else stays.
    const bytes = readFileSync(place.path(name));
    expectFailed(await place.run(["backup", name]), "is there already");
    expectFailed(await place.run(["backup", "nowhere/kept.db"]), "nowhere/kept.db");
    expect(readFileSync(place.path(name)).equals(bytes)).toBe(true);
    expect(readdirSync(place.folder).filter((file) => file.includes("unfinished"))).toEqual([]);
    expectFailed(await place.run(["restore", name]), "in use by another artel");
    expect((await ada.call("GET", "/health/ready")).status).toBe(200);
  });

  test.concurrent("there is nothing to back up, or it is damaged", async () => {
    await using place = await Place.make();
    expectFailed(await place.run(["backup", "kept.db"]), "there is no");
    await place.run(["migrate", "up"]);
    const file = place.path("data/artel.db");
    writeFileSync(file, readFileSync(file).fill(0xff, 2 * PAGE_BYTES));
    expectFailed(await place.run(["backup", "kept.db"]), "damaged");
    expect(readdirSync(place.folder).sort()).toEqual(["artel", "data"]);
  });
});

test.concurrent.each([
  [["backup"], "takes a file"],
  [["restore"], "takes a file"],
  [["backup", "one.db", "two.db"], '"two.db"'],
  [["restore", "one.db", "--redis", "redis://x"], "--redis"],
])("%j is a wrong call", async (args, named) => {
  await using place = await Place.make();
  const { code, stderr } = await place.run(args);
  expect({ code, lines: lines(stderr).length }).toEqual({ code: 2, lines: 1 });
  expect(stderr).toContain(named);
  expect(readdirSync(place.folder)).toEqual(["artel"]);
});

describe("restore", () => {
  test.concurrent("what was accepted up to the backup ends, what came later is gone, and clients begin anew", async () => {
    await using place = await Place.make();
    place.write(TASKS);
    const first = await place.serve(SERVE);
    const ada = await Client.register(first.url);
    const view = await View.open(ada);
    const done = await ada.submit("quick", { n: 1 });
    const broken = await ada.submit("failing", { n: 1 });
    const running = await ada.submitAll("gated", [GATE, GATE]);
    await view.ended([done, broken]);
    for (const id of running) await view.status(id, "in progress");
    const waiting = await ada.submitAll("gated", [GATE, GATE, GATE]);
    const scheduled = await ada.submit("quick", { n: 2 }, "?delay=1s");
    expect((await place.run(["backup", "kept.db"])).code).toBe(0);

    // A later life: other tasks, other states of the same ones; a crash in the middle of it.
    const later = await ada.submitAll(
      "quick",
      Array.from({ length: 50 }, (_, n) => ({ n })),
    );
    await ada.cancel(waiting[0] ?? "");
    await ada.cancel(running[0] ?? "");
    await view.ended([waiting[0] ?? "", running[0] ?? ""]);
    await ada.call("POST", `/tasks/${broken}/retry`);
    const seen = await epochOf(ada);
    await first.process.end("SIGKILL");
    view.close();

    const { code, stdout } = await place.run(["restore", "kept.db"]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining("6 tasks have not ended") });
    const aside = /^the database as it was: (.*)$/m.exec(stdout)?.[1] ?? "";
    expect(readdirSync(place.path("data")).sort()).toEqual(
      expect.arrayContaining(["artel.db", "artel.db.before-restore", "artel.lock", "secret"]),
    );
    {
      // Nothing is lost of the life that was left, not even what stood in its write-ahead log.
      using db = new Database(aside);
      const ids = new Set(
        db
          .query<{ id: string }, []>("SELECT id FROM tasks")
          .all()
          .map(({ id }) => id),
      );
      expect(later.filter((id) => !ids.has(id))).toEqual([]);
    }

    const second = await place.serve(SERVE);
    ada.url = second.url;
    expect((await epochOf(ada)).epoch).not.toBe(seen.epoch);
    expect(await firstWord(ada, `?since=${seen.seq}&epoch=${seen.epoch}`)).toBe("reset");
    expect(await firstWord(ada, `?since=1&epoch=${seen.epoch}`)).toBe("reset");
    for (const id of later) expect((await ada.call("GET", `/tasks/${id}`)).status).toBe(404);
    place.write({ open: "" });
    const ids = [...running, ...waiting, scheduled];
    const ended = async (): Promise<Task[] | undefined> => {
      const tasks = await Promise.all(ids.map((id) => ada.task(id)));
      return tasks.every(({ status }) => status === "done") ? tasks : undefined;
    };
    for (const task of await eventually(ended, "the end of all")) expect(task).toMatchObject({ attempt: 1 });
    // Who ran when the backup was made is not suspected of anything.
    expect(rowsOf(place, running)).toEqual(running.map(() => ({ status: "done", attempt: 1, deaths: 0 })));
    expect(await ada.task(done)).toMatchObject({ status: "done", result: 2 });
    expect(await ada.task(broken)).toMatchObject({ status: "failed" });
    expect((await ada.call("POST", `/tasks/${broken}/retry`)).status).toBe(202);
    const fresh = await ada.submit("quick", { n: 21 });
    await eventually(async () => ((await ada.task(fresh)).result === 42 ? true : undefined), "a new task's result");
  });

  test.concurrent("into a directory that is not there yet, with and without the secret; twice", async () => {
    await using place = await Place.make();
    const { url, process } = await place.serve(["--threads", "0"]);
    const ada = await Client.register(url);
    const token = (await place.run(["user", "token", ada.email])).stdout.trim();
    await place.run(["backup", "kept.db"]);
    await process.end();
    expect((await place.run(["restore", "kept.db", "--data", "new"])).stdout).toContain("no signing secret");
    expect(readdirSync(place.path("new")).sort()).toEqual(["artel.db", "artel.lock"]);
    expect(statSync(place.path("new/artel.db")).mode & 0o777).toBe(0o600);
    const status = async (data: string, env: Record<string, string> = {}) => {
      const served = await place.serve(["--threads", "0", "--data", data], env);
      const { status: answered } = await call("GET", `${served.url}/auth/me`, { token });
      await served.process.end();
      return answered;
    };
    const secret = readFileSync(place.path("data/secret"), "utf8").trim();
    expect(await status("new", { ARTEL_SECRET: secret })).toBe(200);
    for (const name of ["artel.db.before-restore", "artel.db.before-restore.2"]) {
      expect((await place.run(["restore", "kept.db"])).stdout).toContain(name);
      expect(await status("data")).toBe(200);
    }
  });

  test.concurrent("what is no backup is refused, and the database stays as it is", async () => {
    await using place = await Place.make();
    await place.run(["migrate", "up"]);
    await place.run(["backup", "kept.db"]);
    place.write({
      "text.db": "this is no database\n".repeat(1_000),
      "empty.db": "",
      "torn.db": readFileSync(place.path("kept.db")),
    });
    truncateSync(place.path("torn.db"), 40_000);
    {
      using newer = new Database(place.path("newer.db"));
      newer.run("ATTACH ? AS kept", [place.path("kept.db")]);
      newer.run("CREATE TABLE __drizzle_migrations AS SELECT * FROM kept.__drizzle_migrations");
      newer.run("INSERT INTO __drizzle_migrations VALUES (99, 'x', 9999999999999)");
      using other = new Database(place.path("other.db"));
      other.run("CREATE TABLE bookmarks (url TEXT)");
    }
    const before = place.contents();
    for (const [file, named] of [
      ["nowhere.db", "there is no file"],
      ["data", "there is no file"],
      ["text.db", "text.db is damaged or no database"],
      ["empty.db", "empty.db is no database of Artel's"],
      ["other.db", "other.db is a database, but not Artel's"],
      ["newer.db", "newer than this one"],
      ["torn.db", "torn.db"],
    ] as const)
      expectFailed(await place.run(["restore", file]), named);
    place.write({ "open.db": readFileSync(place.path("kept.db")), "open.db-wal": "" });
    expectFailed(await place.run(["restore", "open.db"]), "in use, or was not closed");
    expect(place.contents()).toMatchObject(before);
    expect(existsSync(place.path("data/artel.db.before-restore"))).toBe(false);
    expect(readdirSync(place.path("data")).filter((name) => name.includes("arriving"))).toEqual([]);
  });
});

describe.skipIf(!ownRedis)("restore, while a worker on another machine goes on", () => {
  test.concurrent("what it still runs is run again, and what was accepted after the backup never", async () => {
    await using site = await Site.make();
    const { place } = site;
    const first = await site.serve();
    await site.work(["--slots", "2"]);
    const ada = await Client.register(first.url);
    const view = await View.open(ada);
    const running = await ada.submitAll("gated", [GATE, GATE]);
    for (const id of running) await view.status(id, "in progress");
    const waiting = await ada.submitAll("quick", [{ n: 1 }, { n: 2 }]);
    await place.run(["backup", "kept.db"]);
    const later = await ada.submitAll(
      "quick",
      Array.from({ length: 20 }, (_, n) => ({ n })),
    );
    view.close();
    await first.process.end("SIGKILL");
    expect((await place.run(["restore", "kept.db"])).code).toBe(0);

    const second = await site.serve();
    ada.url = second.url;
    place.write({ open: "" });
    const all = [...running, ...waiting];
    await eventually(
      async () =>
        (await Promise.all(all.map((id) => ada.task(id)))).every(({ status }) => status === "done") ? true : undefined,
      "the end of all",
    );
    expect(rowsOf(place, all)).toEqual(all.map(() => ({ status: "done", attempt: 1, deaths: 0 })));
    const effects = lines(readFileSync(place.path(EFFECTS), "utf8"));
    expect(later.filter((id) => effects.includes(id))).toEqual([]);
    // The copy that was left behind is of an earlier life: it must not take the namespace back.
    await second.process.end();
    await place.run(["restore", "kept.db"]);
    await (await site.serve()).process.end();
    place.write({ "left/artel.db": readFileSync(place.path("data/artel.db.before-restore.2")) });
    expect(await place.run(["serve", "--redis", site.redis.url, "--port", "0", "--data", "left"])).toMatchObject({
      code: 1,
      stdout: "",
      stderr: expect.stringMatching(/^artel: .* works for a restored copy of this data directory: .*\n$/m),
    });
  });
});
