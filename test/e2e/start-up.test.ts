import { Database } from "bun:sqlite";
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { ALLOCATOR } from "../../src/cli/allocator.ts";
import { type Ended, lines, Place } from "../support/artel-process.ts";
import { Client } from "../support/e2e-client.ts";
import { TASKS } from "../support/e2e-tasks.ts";
import { LIMIT_MS } from "../support/waiting.ts";

setDefaultTimeout(LIMIT_MS);

/** Exit code 1, nothing on stdout, one line on stderr. */
function expectFailed({ code, stdout, stderr }: Ended, ...named: readonly string[]): void {
  expect({ code, stdout, lines: lines(stderr).length }).toEqual({ code: 1, stdout: "", lines: 1 });
  for (const name of named) expect(stderr).toContain(name);
}

/** Starts a server that must fail and leave everything as it was. */
async function expectRefused(place: Place, args: readonly string[], named: readonly string[], env: Record<string, string> = {}) {
  const before = place.contents();
  expectFailed(await place.run(["serve", "--port", "0", ...args], env), ...named);
  expect(place.contents()).toEqual(before);
}

/** A data folder that a server has used. */
async function usedData(place: Place): Promise<void> {
  place.write({ "tasks/quick.ts": TASKS["tasks/quick.ts"] ?? "" });
  const { url, process } = await place.serve(["--tasks", "tasks"]);
  const ada = await Client.register(url);
  await ada.submitAll(
    "quick",
    Array.from({ length: 500 }, (_, n) => ({ n })),
  );
  await process.end();
}

test.skipIf(process.platform !== "linux")(
  "a server has the allocator keep freed memory for a while, or what the user says",
  async () => {
    const [setting = ""] = Object.entries(ALLOCATOR).map((entry) => entry.join("="));
    const own = "MIMALLOC_PURGE_DELAY=7";
    for (const [expected, env] of [
      [setting, {}],
      [own, { MIMALLOC_PURGE_DELAY: "7" }],
    ] as const) {
      await using place = await Place.make();
      // The process that was started, under its own id and with its own arguments.
      const { process } = await place.serve(["--threads", "0"], env);
      expect(readFileSync(`/proc/${process.pid}/environ`, "utf8").split("\0")).toContain(expected);
      expect(readFileSync(`/proc/${process.pid}/cmdline`, "utf8").split("\0")).toContain("--threads");
    }
  },
);

describe("a start that cannot succeed ends with 1, one line, and nothing changed", () => {
  test("the port is in use", async () => {
    await using place = await Place.make();
    using taken = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const port = String(taken.port);
    await expectRefused(place, ["--port", port], [`127.0.0.1:${port}`, "in use", "--port"]);
    expect(existsSync(place.path("data"))).toBe(false);
  });

  test("a second server's port or data directory is another one's", async () => {
    await using place = await Place.make();
    const { url, process } = await place.serve();
    const { port } = new URL(url);
    expectFailed(await place.run(["serve", "--port", port, "--data", "other"]), port, "in use");
    expect(existsSync(place.path("other"))).toBe(false);
    expectFailed(await place.run(["serve", "--port", "0"]), place.path("data"), "another artel", "--data");
    // The first one goes on, and once it is gone its folder is free again.
    expect((await fetch(`${url}/health/ready`)).status).toBe(200);
    await process.end("SIGKILL");
    await place.serve();
  });

  test("the host is not this machine's", async () => {
    await using place = await Place.make();
    await expectRefused(place, ["--host", "no-such-host.invalid"], ["no-such-host.invalid", "--host"]);
    await expectRefused(place, ["--host", "192.0.2.1"], ["192.0.2.1", "--host"]);
  });

  test("the database is garbage, also where nothing else is", async () => {
    await using place = await Place.make();
    place.write({ "data/artel.db": Buffer.alloc(100_000, "no database at all ") });
    await expectRefused(place, [], [place.path("data/artel.db")]);
    expect(readdirSync(place.path("data"))).toEqual(["artel.db"]);
    expectFailed(await place.run(["migrate", "status"]), place.path("data/artel.db"));
    expectFailed(await place.run(["migrate", "up"]), place.path("data/artel.db"));
  });

  test("the database is cut off", async () => {
    await using place = await Place.make();
    await usedData(place);
    const file = place.path("data/artel.db");
    const whole = readFileSync(file);
    for (const size of [Math.floor(whole.length / 2), 4_096 * 3, 5_000, 100]) {
      writeFileSync(file, whole.subarray(0, size));
      await expectRefused(place, [], [file, "backup"]);
    }
    writeFileSync(file, whole);
    await place.serve();
  });

  test("a page inside the database is damaged", async () => {
    await using place = await Place.make();
    await usedData(place);
    const file = place.path("data/artel.db");
    const bytes = readFileSync(file);
    // All but the first page, which holds the schema's root.
    bytes.fill(0xa5, 4_096);
    writeFileSync(file, bytes);
    await expectRefused(place, [], [file]);
  });

  test("the database is from a newer version, whatever its journal mode", async () => {
    await using place = await Place.make();
    await usedData(place);
    const file = place.path("data/artel.db");
    for (const mode of ["WAL", "DELETE"]) {
      {
        using db = new Database(file);
        db.run(`PRAGMA journal_mode = ${mode}`);
        db.run("INSERT INTO __drizzle_migrations (hash, created_at) VALUES (?, ?)", [
          `from-tomorrow-${mode}`,
          Date.UTC(2100, 0, 1),
        ]);
      }
      await expectRefused(place, [], [file, "newer"]);
    }
    expectFailed(await place.run(["migrate", "status"]), "newer");
    expectFailed(await place.run(["migrate", "up"]), "newer");
    expectFailed(await place.run(["migrate", "down"]), "newer");
  });

  test("the database is somebody else's", async () => {
    await using place = await Place.make();
    mkdirSync(place.path("data"));
    {
      using db = new Database(place.path("data/artel.db"));
      db.run("CREATE TABLE recipes (name TEXT)");
    }
    await expectRefused(place, [], [place.path("data/artel.db"), "not Artel's"]);
  });

  test("the data path is a file, lies under one, or is nowhere to be had", async () => {
    await using place = await Place.make();
    place.write({ taken: "a file" });
    await expectRefused(place, ["--data", "taken"], [place.path("taken")]);
    await expectRefused(place, ["--data", "taken/data"], [place.path("taken/data")]);
    if (process.platform === "linux") await expectRefused(place, ["--data", "/proc/data"], ["/proc/data"]);
    mkdirSync(place.path("data/artel.db"), { recursive: true });
    await expectRefused(place, [], [place.path("data/artel.db")]);
  });

  test("the tasks folder is missing or a file", async () => {
    await using place = await Place.make();
    place.write({ taken: "a file" });
    await expectRefused(place, ["--tasks", "missing"], [place.path("missing")]);
    await expectRefused(place, ["--tasks", "taken"], [place.path("taken")]);
    expect(existsSync(place.path("data"))).toBe(false);
  });

  test("ARTEL_SECRET is too short, or the kept secret is damaged", async () => {
    await using place = await Place.make();
    await expectRefused(place, [], ["ARTEL_SECRET"], { ARTEL_SECRET: "short" });
    expect(existsSync(place.path("data"))).toBe(false);
    place.write({ "data/secret": "" });
    await place.serve(["--data", "other"]);
    expectFailed(await place.run(["serve", "--port", "0"]), place.path("data/secret"));
    expect(statSync(place.path("data/secret")).size).toBe(0);
  });

  test("a signal while it starts ends it with 0", async () => {
    await using place = await Place.make();
    place.write({ "tasks/endless.ts": "for (;;);", "tasks/quick.ts": TASKS["tasks/quick.ts"] ?? "" });
    const starting = place.start(["serve", "--port", "0", "--tasks", "tasks"]);
    await starting.logged("migrated the database");
    expect(await starting.end("SIGTERM")).toMatchObject({ code: 0, stdout: "" });
  });
});
