import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { type Ended, lines, Place } from "../support/artel-process.ts";
import { Client } from "../support/e2e-client.ts";
import { TASKS } from "../support/e2e-tasks.ts";
import { Terminal } from "../support/terminal.ts";
import { eventually, LIMIT_MS } from "../support/waiting.ts";

setDefaultTimeout(LIMIT_MS);

const PAGE = "<html><head><title>A page</title></head><body><h1>Hello</h1><a href='/'>home</a></body></html>";

let place: Place;
let ada: Client;
let env: Readonly<Record<string, string>>;
let ids: readonly string[];
const site = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  fetch: () => new Response(PAGE, { headers: { "content-type": "text/html" } }),
});

beforeAll(async () => {
  place = await Place.make();
  place.write(TASKS);
  const { url } = await place.serve(["--tasks", "tasks", "--threads", "1"], { ARTEL_ALLOW_PRIVATE_HOSTS: "1" });
  ada = await Client.register(url);
  env = { ARTEL_SERVER: url, ARTEL_TOKEN: ada.token };
  ids = [
    await ada.submit("quick", { n: 1 }),
    await ada.submit("failing", { n: 2 }),
    await ada.submit("parse", { url: `http://127.0.0.1:${site.port}/` }),
    await ada.submit("quick", { n: 3 }, "?delay=1h"),
  ];
  for (const id of ids.slice(0, 3)) await hasStatus(id, /done|failed/);
});
afterAll(async () => {
  await site.stop(true);
  await place[Symbol.asyncDispose]();
});

const hasStatus = (id: string, status: RegExp): Promise<true> =>
  eventually(async () => (status.test((await ada.task(id)).status) ? true : undefined), `${id} ${status}`);
const task = (args: readonly string[], more: Readonly<Record<string, string>> = {}): Promise<Ended> =>
  place.run(["task", ...args], { ...env, ...more });
const json = async (...args: readonly string[]): Promise<unknown> => JSON.parse((await task([...args, "--json"])).stdout);
const short = (id = ""): string => id.slice(-8);

function expectFailure({ code, stdout, stderr }: Ended, said: string, expectedCode = 1): void {
  expect({ code, stdout, lines: lines(stderr).length }).toEqual({ code: expectedCode, stdout: "", lines: 1 });
  expect(stderr).toContain(said);
}

describe("task list", () => {
  test.concurrent("into a pipe: columns between tabs, newest first, with whole ids", async () => {
    const { code, stdout, stderr } = await task(["list", "--limit", "200"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const rows = lines(stdout).map((line) => line.split("\t"));
    const [scheduled] = rows.filter(([id]) => id === ids[3]);
    expect(scheduled).toEqual([ids[3] as string, "scheduled", "quick", "", expect.stringMatching(/^\d{4}-.*Z$/)]);
    expect(rows.map(([id = ""]) => id).filter((id) => ids.includes(id))).toEqual([...ids].reverse());
  });

  test.concurrent("with --json: the page as the API gives it; filters, and pages by --cursor", async () => {
    const page = (await json("list", "--name", "quick", "--limit", "1")) as { items: object[]; next_cursor: string };
    expect(page.items).toMatchObject([{ task_id: ids[3], name: "quick" }]);
    expect(await json("list", "--name", "quick", "--cursor", page.next_cursor)).toMatchObject({
      items: [{ task_id: ids[0] }],
      next_cursor: null,
    });
    expect((await task(["list", "--name", "quick", "--limit", "1"])).stderr).toBe(`more: --cursor ${page.next_cursor}\n`);
    expect(await json("list", "--status", "failed", "--name", "failing")).toMatchObject({ items: [{ task_id: ids[1] }] });
  });

  test.concurrent.each([[80], [24]])("in a terminal of %d columns: a line each, no wider than that", async (columns) => {
    const options = { cwd: place.folder, env: { HOME: place.home, ...env }, columns };
    await using terminal = new Terminal([place.program, "task", "list", "--name", "failing"], options);
    expect(await terminal.exited).toBe(0);
    await terminal.shows(/failing/);
    expect(terminal.lines).toEqual([expect.stringMatching(new RegExp(`^${short(ids[1])} +failing +✗`))]);
  });

  test.concurrent("--owner: another's tasks, or everybody's with their owners, for admins", async () => {
    const root = await Client.register(ada.url, "root");
    const own = await root.submit("quick", { n: 7 });
    const asRoot = { ARTEL_TOKEN: root.token };
    expectFailure(await task(["list", "--owner", "all"], asRoot), "only admins");
    expect((await place.run(["user", "promote", root.email])).code).toBe(0);
    const all = ["list", "--owner", "all", "--limit", "200"];
    await eventually(async () => ((await task(all, asRoot)).code === 0 ? true : undefined), "an admin's rights");
    const cells = async (...args: string[]): Promise<string[][]> =>
      lines((await task(args, asRoot)).stdout).map((line) => line.split("\t"));
    const owners = new Map((await cells(...all)).map(([id = "", , , , , owner = ""]) => [id, owner]));
    expect([owners.get(own), owners.get(ids[0] as string)]).toEqual([root.id, ada.id]);
    const others = await cells("list", "--owner", ada.id.toUpperCase(), "--name", "failing");
    expect(others).toEqual([[ids[1] as string, "failed", "failing", expect.any(String), expect.any(String)]]);
    const options = { cwd: place.folder, env: { HOME: place.home, ...env, ...asRoot }, columns: 60 };
    await using terminal = new Terminal([place.program, "task", ...all, "--name", "failing"], options);
    expect(await terminal.exited).toBe(0);
    await terminal.shows(new RegExp(`^${short(ids[1])} +failing +✗.*…  owner ${short(ada.id)}$`));

    expectFailure(await task(["show", short(ids[0])], asRoot), "none of your newest");
    expect((await task(["show", short(ids[0]), "--owner", "all"], asRoot)).stdout).toContain(ids[0] as string);
  });

  test.concurrent("a reader that stops reading is no error", async () => {
    const shell = Bun.spawn(["sh", "-c", '"$0" task list --json | head -c 1', place.program], {
      cwd: place.folder,
      env: { HOME: place.home, PATH: process.env["PATH"], ...env },
      stdout: "pipe",
      stderr: "pipe",
    });
    expect([await shell.stdout.text(), await shell.stderr.text()]).toEqual(["{", ""]);
  });
});

describe("task show, logs, cancel and retry", () => {
  test.concurrent("a task with its result, by the end of its id", async () => {
    const { code, stdout, stderr } = await task(["show", short(ids[0])]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(new RegExp(`^id +${ids[0]}$`, "m"));
    expect(stdout).toMatch(/^status +done$/m);
    expect(lines(stdout).at(-1)).toBe("2");
    expect(await json("show", ids[0] as string)).toMatchObject({ task_id: ids[0], result: 2, args: { n: 1 } });
  });

  test.concurrent("when one begins, or why it waits", async () => {
    expect((await task(["show", ids[3] as string])).stdout).toMatch(/^begins +.*\d:\d\d/m);
    await using idle = await Place.make();
    idle.write(TASKS);
    const { url } = await idle.serve(["--tasks", "tasks", "--threads", "0"]);
    const ben = await Client.register(url, "ben");
    const { stdout } = await task(["show", await ben.submit("quick", { n: 1 })], { ARTEL_SERVER: url, ARTEL_TOKEN: ben.token });
    expect(stdout).toMatch(/^waiting +no worker/m);
    expect(stdout).not.toMatch(/^begins/m);
  });

  test.concurrent("what parse has read is a table", async () => {
    const { stdout } = await task(["show", ids[2] as string]);
    expect(stdout).toMatch(/^HTTP +words +links +page$/m);
    expect(stdout).toMatch(/^ *200 +\d+ +1 +A page/m);
  });

  test.concurrent("the log", async () => {
    const id = await ada.submit("retrying", { until: 2 });
    await hasStatus(id, /done/);
    expect(await task(["logs", id])).toMatchObject({ code: 0, stderr: "" });
    expect(await json("logs", id)).toEqual(expectArray(await ada.call("GET", `/tasks/${id}/logs`)));
  });

  test.concurrent("cancel, then retry", async () => {
    const id = await ada.submit("slow", { ms: 1 }, "?delay=1h");
    const cancelled = await task(["cancel", id]);
    expect({ code: cancelled.code, stdout: cancelled.stdout }).toEqual({
      code: 0,
      stdout: expect.stringMatching(new RegExp(`^${short(id)}  slow  ✗ cancelled`)),
    });
    expectFailure(await task(["cancel", id]), "cancelled already");
    expect(await json("retry", id)).toMatchObject({ task_id: id, attempt: 1 });
    await hasStatus(id, /done/);
    expectFailure(await task(["retry", id]), "failed or cancelled");
  });

  test.concurrent("what is somebody else's or nowhere is not there", async () => {
    const other = await Client.register(ada.url, "eve");
    const failure = await task(["show", ids[0] as string], { ARTEL_TOKEN: other.token });
    expectFailure(failure, "there is no such task");
    expectFailure(await task(["show", "01890000-0000-7000-8000-000000000000"]), "there is no such task");
    expectFailure(await task(["show", short(ids[0])], { ARTEL_TOKEN: other.token }), "none of your newest");
    expectFailure(await task(["show", ids[0]?.slice(0, 4) ?? ""]), "fits");
  });

  test.concurrent.each<[readonly string[], string]>([
    [[], "list, show, logs, cancel or retry"],
    [["sohw"], "list, show, logs, cancel or retry"],
    [["show"], "needs the id of a task"],
    [["show", "a", "b"], '"b"'],
    [["list", "more"], '"more"'],
    [["list", "--limit", "0"], "--limit"],
    [["list", "--owner", "ada"], "--owner must be the id of an account, or all"],
    [["list", "--status", "gone"], "--status must be one of scheduled, queued"],
    [["show", "a", "--status", "done"], "--status"],
  ])("%j is wrong", async (args, named) => {
    expectFailure(await task(args), named, 2);
  });
});

const expectArray = ({ body }: { body: unknown }): unknown => (body as { items: unknown }).items;
