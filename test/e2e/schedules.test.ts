import { Database } from "bun:sqlite";
import { expect, setDefaultTimeout, test } from "bun:test";
import { type ArtelProcess, Place } from "../support/artel-process.ts";
import { Client, expectStatus } from "../support/e2e-client.ts";
import { eventually, LIMIT_MS } from "../support/waiting.ts";

setDefaultTimeout(LIMIT_MS);

const TICKS = `import { task, t } from "artel";
export default task({ input: t.Object({ to: t.String({ default: "all" }) }), schedule: "* * * * * *", run: ({ to }) => to });`;

interface Schedule {
  readonly task: string;
  readonly input: unknown;
  readonly paused: boolean;
  readonly next_at: string | null;
  readonly last_task_id: string | null;
}

function promote(place: Place, client: Client): void {
  using db = new Database(place.path("data/artel.db"));
  db.run("PRAGMA busy_timeout = 5000");
  db.run("UPDATE accounts SET role = 'admin' WHERE id = ?", [client.id]);
}

/** The seconds for which tasks were accepted by the schedule, oldest first. */
function seconds(place: Place): number[] {
  using db = new Database(place.path("data/artel.db"), { readonly: true });
  db.run("PRAGMA busy_timeout = 5000");
  const rows = db.query<{ created_at: number }, []>("SELECT created_at FROM tasks ORDER BY n").all();
  return rows.map(({ created_at }) => Math.floor(created_at / 1_000));
}

test("each second comes to one task, however often the server is killed; admins see it, pause it and run it now", async () => {
  await using place = await Place.make();
  place.write({ "tasks/ticks.ts": TICKS });
  const start = async (): Promise<{ process: ArtelProcess; url: string }> =>
    await place.serve(["--tasks", "tasks", "--threads", "1"]);
  let { process, url } = await start();
  for (let crash = 1; crash <= 3; crash += 1) {
    const before = seconds(place).length;
    await eventually(() => (seconds(place).length > before ? true : undefined), "a run by schedule");
    await process.end("SIGKILL");
    ({ process, url } = await start());
  }
  const all = seconds(place);
  // What was missed while none ran is one run, in the second of the start.
  expect(new Set(all).size).toBeGreaterThanOrEqual(all.length - 3);

  const [root, ada] = [await Client.register(url, "root"), await Client.register(url, "ada")];
  for (const [method, path] of [
    ["GET", "/schedules"],
    ...["pause", "resume", "run"].map((way) => ["POST", `/schedules/ticks/${way}`]),
  ])
    expect(await ada.call(method ?? "", path ?? "")).toMatchObject({ status: 403, body: { code: "forbidden" } });
  promote(place, root);
  const list = async () => {
    const { status, body } = await root.call("GET", "/schedules");
    return status === 200 ? (body as { items: Schedule[] }).items : undefined;
  };
  expect(await eventually(list, "an admin's rights")).toMatchObject([
    { task: "ticks", cron: "* * * * * *", time_zone: "UTC", missed: "once", input: { to: "all" }, paused: false },
  ]);
  expect(expectStatus(200, await root.call("POST", "/schedules/ticks/pause"))).toMatchObject({ paused: true, next_at: null });
  const paused = seconds(place).length;
  const { task_id: id } = expectStatus(202, await root.call("POST", "/schedules/ticks/run")) as { task_id: string };
  const ended = async () => {
    const task = expectStatus(200, await root.call("GET", `/tasks/${id}`)) as { status: string; result: unknown };
    return task.status === "done" ? task.result : undefined;
  };
  expect(await eventually(ended, "the end of the run by hand")).toBe("all");
  expect(seconds(place)).toHaveLength(paused + 1);
  expect(await root.call("POST", "/schedules/nothing/run")).toMatchObject({ status: 404, body: { code: "schedule_not_found" } });
  expect(expectStatus(200, await root.call("POST", "/schedules/ticks/resume"))).toMatchObject({ paused: false });
  await eventually(() => (seconds(place).length > paused + 1 ? true : undefined), "a run after it was resumed");
  // Its tasks are nobody else's to see.
  expect((await ada.call("GET", "/tasks")).body).toMatchObject({ items: [] });
  expect((await process.end()).code).toBe(0);
});

test("a schedule that makes no sense is said of its file, with the reason", async () => {
  await using place = await Place.make();
  const wrong = (schedule: string): string =>
    `import { task, t } from "artel";\nexport default task({ input: t.Object({ n: t.Integer() }), schedule: ${schedule}, run: () => 1 });\n`;
  place.write({
    "tasks/a.ts": wrong('"61 * * * *"'),
    "tasks/b.ts": wrong('{ cron: "@daily", timeZone: "Mars/Olympus", input: { n: 1 } }'),
    "tasks/c.ts": wrong('"@daily"'),
    "tasks/d.ts": wrong('{ cron: "@daily", every: 5 }'),
    "tasks/e.ts": wrong('{ cron: "@daily", input: { n: 1 } }'),
  });
  const { code, stdout } = await place.run(["check"]);
  expect(code).toBe(1);
  expect(stdout).toMatch(/^broken {2}tasks\/a\.ts:2:\d+: "schedule" is no cron expression: .*61/m);
  expect(stdout).toMatch(/^broken {2}tasks\/b\.ts:2:\d+: "schedule" names no time zone: .*Mars/m);
  expect(stdout).toMatch(/^broken {2}tasks\/c\.ts:2:\d+: "schedule" input does not fit "input": \/n required/m);
  expect(stdout).toMatch(/^broken {2}tasks\/d\.ts:2:\d+: "schedule" has no field "every"/m);
  expect(stdout).toMatch(/^ok {6}tasks\/e\.ts/m);
});
