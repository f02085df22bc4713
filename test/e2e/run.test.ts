import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { type ArtelProcess, type Ended, lines, Place } from "../support/artel-process.ts";
import { Client } from "../support/e2e-client.ts";
import { TASKS } from "../support/e2e-tasks.ts";
import { KEYS, Terminal } from "../support/terminal.ts";
import { eventually, LIMIT_MS } from "../support/waiting.ts";

setDefaultTimeout(LIMIT_MS);

const FILES = {
  ...TASKS,
  "tasks/typed.ts": `
    import { task, t } from "artel";
    export default task({
      input: t.Object({
        count: t.Integer({ minimum: 1 }),
        max_pages: t.Optional(t.Integer({ default: 3 })),
        loud: t.Optional(t.Boolean()),
        tags: t.Optional(t.Array(t.String())),
        level: t.Optional(t.Union([t.Literal("low"), t.Literal("high")])),
        deep: t.Optional(t.Object({ flag: t.Boolean() })),
        json: t.Optional(t.String()),
      }),
      retry: 1,
      run: (input) => input,
    });`,
  /** Gets half way, and on when a file of this name is in the place. */
  "tasks/paced.ts": `
    import { existsSync } from "node:fs";
    import { task, t } from "artel";
    export default task({
      input: t.Object({ gate: t.String() }),
      retry: 1,
      async run({ gate }, ctx) {
        ctx.progress(0.5, "half way");
        while (!existsSync(import.meta.dir + "/../" + gate)) await ctx.sleep(10);
        return "arrived";
      },
    });`,
  /** One at a time: the next one waits for the gate of the one before. */
  "tasks/single.ts": `
    import { existsSync } from "node:fs";
    import { task, t } from "artel";
    export default task({
      input: t.Object({ gate: t.String() }),
      retry: 1,
      concurrency: 1,
      async run({ gate }, ctx) {
        while (!existsSync(import.meta.dir + "/../" + gate)) await ctx.sleep(10);
        return "alone";
      },
    });`,
  "tasks/rude.ts": `
    import { task, t, TaskError } from "artel";
    export default task({ input: t.Object({}), retry: 1, run() { throw new TaskError("rude", "ding\\u0007 \\u001b[2Jdong"); } });`,
};
const UUID = /^[0-9a-f-]{36}$/;

interface Scene extends AsyncDisposable {
  readonly place: Place;
  readonly client: Client;
  readonly env: Readonly<Record<string, string>>;
  readonly server: { process: ArtelProcess; url: string };
}

async function makeScene(): Promise<Scene> {
  const place = await Place.make();
  place.write(FILES);
  const server = await place.serve(["--tasks", "tasks", "--threads", "1", "--drain", "0s"]);
  const client = await Client.register(server.url);
  const env = { ARTEL_SERVER: server.url, ARTEL_TOKEN: client.token };
  return { place, client, env, server, [Symbol.asyncDispose]: () => place[Symbol.asyncDispose]() };
}

let scene: Scene;
beforeAll(async () => {
  scene = await makeScene();
});
afterAll(() => scene[Symbol.asyncDispose]());

const run = (args: readonly string[], env: Readonly<Record<string, string>> = {}, stdin = ""): Promise<Ended> =>
  scene.place.run(["run", ...args], { ...scene.env, ...env }, stdin);
const said = (process: ArtelProcess, stream: "stdout" | "stderr", text: string): Promise<true> =>
  process.until(() => (process[stream].includes(text) ? true : undefined), text);

describe("run", () => {
  test.concurrent("prints the id alone, or what the server answered", async () => {
    const plain = await run(["quick", "--n", "2"]);
    expect(plain).toMatchObject({ code: 0, stderr: "" });
    expect(plain.stdout.trim()).toMatch(UUID);
    expect((await scene.client.task(plain.stdout.trim())).args).toEqual({ n: 2 });
    const { stdout } = await run(["quick", "--n", "-2", "--json", "--delay", "1h", "--priority", "high"]);
    expect(JSON.parse(stdout)).toEqual({ task_id: expect.stringMatching(UUID), status: "scheduled" });
  });

  test.concurrent("reads fields by the task's schema, over those of --input", async () => {
    const typed = ["--count", "1", "--max-pages=5", "--no-loud", "--tags", "a", "--tags", "b", "--level", "low", "--deep.flag"];
    const { stdout } = await run(["typed", ...typed, "--watch", "--json", "--", "--json", "yes"]);
    const expected = { json: "yes", count: 1, max_pages: 5, loud: false, tags: ["a", "b"], level: "low", deep: { flag: true } };
    // Behind --, what looks like a flag of the command is a field.
    expect(JSON.parse(stdout)).toMatchObject({ status: "done", result: expected });
  });

  test.concurrent.each<[string, readonly string[], string]>([
    ["JSON", ["--input", '{"count":1,"loud":true}'], ""],
    ["a file", ["--input", "@input.json"], ""],
    ["stdin", ["--input", "-"], '{"count":1,"loud":true}'],
  ])("takes the input from %s", async (_, args, stdin) => {
    scene.place.write({ "input.json": '{"count":1,"loud":true}' });
    const { stdout, code } = await run(["typed", ...args, "--count", "2", "--json", "--watch"], {}, stdin);
    expect({ code, args: (JSON.parse(stdout) as { args: unknown }).args }).toEqual({
      code: 0,
      args: { count: 2, loud: true, max_pages: 3 },
    });
  });

  test.concurrent("an Idempotency-Key gives the same task again", async () => {
    const args = ["quick", "--n", "1", "--idempotency-key", "once"];
    const ended = [await run(args), await run(args)];
    expect(ended[0]?.stdout).toBe(ended[1]?.stdout as string);
  });

  test.concurrent.each<[readonly string[], string]>([
    [[], "artel run NAME"],
    [["quikc"], 'no task "quikc" (did you mean quick?); it has '],
    [["typed"], "--count is required"],
    [["typed", "--count", "0"], "--count must be >= 1"],
    [["typed", "--count", "one"], '--count must be a whole number, not "one"'],
    [["typed", "--coutn", "1"], "did you mean --count?"],
    [["typed", "--count", "1", "--level", "middle"], "--level must be low or high"],
    [["typed", "--count"], "--count needs a value"],
    [["typed", "--count", "1", "stray"], '"stray"'],
    [["typed", "--input", "{"], "--input"],
    [["typed", "--input", "@missing.json"], "--input"],
    [["typed", "--count", "1", "--delay", "soon"], "--delay"],
    [["typed", "--count", "1", "--priority", "urgent"], "--priority"],
  ])("%j is wrong, and nothing is sent", async (args, named) => {
    const { code, stdout, stderr } = await run(args);
    expect({ code, stdout, lines: lines(stderr).length }).toEqual({ code: 2, stdout: "", lines: 1 });
    expect(stderr).toContain(named);
  });
});

describe("run --watch", () => {
  test.concurrent("into a pipe: the id, a line for each change, the result", async () => {
    const { code, stdout, stderr } = await run(["slow", "--ms", "50", "--watch"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const [id = "", ...rest] = lines(stdout);
    expect(id).toMatch(UUID);
    expect(rest.at(-1)).toBe("slept");
    expect(rest.at(-2)).toContain(`${id.slice(-8)}  slow  ✓ done`);
    expect(stdout).not.toContain("\u001b");
  });

  test.concurrent("with --json: stdout is the task and nothing else", async () => {
    const { code, stdout, stderr } = await run(["quick", "--n", "21", "--watch", "--json"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(JSON.parse(stdout)).toMatchObject({ name: "quick", status: "done", args: { n: 21 }, result: 42 });
  });

  test.concurrent("of one that fails: 1, and one line says why, without what a terminal would obey", async () => {
    const failed = await run(["failing", "--n", "3", "--watch", "--json"]);
    const { task_id: id, status } = JSON.parse(failed.stdout) as { task_id: string; status: string };
    expect({ code: failed.code, status }).toEqual({ code: 1, status: "failed" });
    expect(failed.stderr).toBe(`artel: failing ${id} failed: no_luck: no luck with 3\n`);
    const rude = await run(["rude", "--watch"]);
    expect(rude.code).toBe(1);
    expect(rude.stderr).toEndWith("failed: rude: ding [2Jdong\n");
    expect(rude.stdout).not.toContain("\u001b");
  });

  test.concurrent("Ctrl-C asks the server to cancel, and waits for the end", async () => {
    const watching = scene.place.start(["run", "slow", "--ms", "600000", "--watch"], scene.env);
    await said(watching, "stdout", "half way");
    const { code, stdout, stderr } = await watching.end("SIGINT");
    const [id = ""] = lines(stdout);
    expect({ code, status: (await scene.client.task(id)).status }).toEqual({ code: 1, status: "cancelled" });
    expect(lines(stderr)).toEqual(["artel: cancelling; Ctrl-C again leaves at once", `artel: slow ${id} was cancelled`]);
  });

  test.concurrent("of one that stays queued: a line on stderr says why, and it is said again only if it is something else", async () => {
    await using own = await makeScene();
    const { place, env, client } = own;
    await client.submit("single", { gate: "first" });
    const watching = [[], ["--json"]].map((more) => place.start(["run", "single", "--gate", "second", "--watch", ...more], env));
    const limit = 'artel: queued: the task "single" has reached its limit: 1 of 1 run\n';
    for (const each of watching) await said(each, "stderr", limit);
    const { token } = await Client.register(own.server.url, "root");
    await place.run(["user", "promote", "root@example.com"]);
    const pause = async (what: string): Promise<true | undefined> => {
      const answer = await fetch(`${own.server.url}/tasks/definitions/single/${what}`, {
        method: "POST",
        headers: { authorization: `Bearer ${token}` },
      });
      return answer.ok ? true : undefined;
    };
    await eventually(() => pause("pause"), "an admin's rights");
    const paused = 'artel: queued: the task "single" is paused\n';
    for (const each of watching) await said(each, "stderr", paused);
    // Between one's end and the next one's start somebody may ask.
    const turn = "artel: queued: its turn has not come: .+\\n";
    await pause("resume");
    place.write({ first: "", second: "" });
    const [plain, json] = await Promise.all(watching.map((each) => each.ended));
    for (const each of [plain, json]) {
      expect(each).toMatchObject({ code: 0, stderr: expect.stringMatching(new RegExp(`^(${limit}|${paused}|${turn})+$`)) });
    }
    expect(plain?.stdout).not.toContain("limit");
    expect(JSON.parse(json?.stdout ?? "")).toMatchObject({ status: "done", result: "alone" });
  });

  test.concurrent("somebody else's cancel ends it too", async () => {
    const watching = scene.place.start(["run", "slow", "--ms", "600000", "--watch"], scene.env);
    await said(watching, "stdout", "half way");
    const [id = ""] = lines(watching.stdout);
    await scene.client.cancel(id);
    expect(await watching.ended).toMatchObject({ code: 1, stderr: `artel: slow ${id} was cancelled\n` });
  });

  test.concurrent("a server that is not there: one line, 1", async () => {
    const { code, stderr } = await run(["quick", "--n", "1", "--watch", "--server", "http://127.0.0.1:1"]);
    expect({ code, lines: lines(stderr).length }).toEqual({ code: 1, lines: 1 });
    expect(stderr).toContain("http://127.0.0.1:1 does not answer: the connection was refused");
  });

  test.concurrent("a server that goes and comes back: said once, nothing is missed, Ctrl-C is heeded", async () => {
    await using own = await makeScene();
    const { place, env, server } = own;
    const watch = (...args: readonly string[]): ArtelProcess => place.start(["run", ...args, "--watch"], env);
    const gated = watch("gated", "--gate", "open");
    const [cancelled, left] = [watch("slow", "--ms", "600000"), watch("slow", "--ms", "600000")];
    await Promise.all([gated, cancelled, left].map((each) => said(each, "stdout", "in progress")));
    await server.process.end();
    await Promise.all([gated, cancelled, left].map((each) => said(each, "stderr", "connection lost")));
    for (const each of [cancelled, left]) each.signal("SIGINT");
    await Promise.all([cancelled, left].map((each) => said(each, "stderr", "cancelling")));
    const { code, stderr } = await left.end("SIGINT");
    expect({ code, last: lines(stderr).at(-1) }).toEqual({
      code: 1,
      last: expect.stringMatching(/^artel: left before/),
    });

    place.write({ open: "" });
    await place.serve(["--tasks", "tasks", "--threads", "1", "--port", new URL(server.url).port]);
    const [through, slow] = await Promise.all([gated.ended, cancelled.ended]);
    expect({ code: through.code, last: lines(through.stdout).at(-1) }).toEqual({ code: 0, last: "through" });
    expect(lines(through.stderr)).toEqual([expect.stringContaining("connection lost"), "artel: connected again"]);
    expect({ code: slow.code, last: lines(slow.stderr).at(-1) }).toEqual({
      code: 1,
      last: expect.stringContaining("was cancelled"),
    });
  });
});

describe("run --watch in a terminal", () => {
  const inTerminal = (args: readonly string[], columns = 80, env: Readonly<Record<string, string>> = {}): Terminal =>
    new Terminal([scene.place.program, "run", ...args, "--watch"], {
      cwd: scene.place.folder,
      env: { HOME: scene.place.home, ...scene.env, ...env },
      columns,
    });

  test.concurrent("one line is drawn again in place; the last of it and the result stay", async () => {
    await using terminal = inTerminal(["paced", "--gate", "wide"]);
    await terminal.shows(/▸ in progress {2}▰▰▰▰▰▱▱▱▱▱ {2}50% {2}half way$/);
    scene.place.write({ wide: "" });
    await terminal.shows(/^arrived$/);
    expect(await terminal.exited).toBe(0);
    expect(terminal.lines.slice(1)).toEqual([expect.stringMatching(/paced {2}✓ done/), "arrived"]);
  });

  test.concurrent("why a task stays queued stands in the line, until it runs", async () => {
    await using own = await makeScene();
    await own.client.submit("single", { gate: "before" });
    const [program, ...args] = [own.place.program, "run", "single", "--gate", "mine", "--watch"];
    await using terminal = new Terminal([program, ...args], {
      cwd: own.place.folder,
      env: { HOME: own.place.home, ...own.env },
      columns: 100,
    });
    await terminal.shows(/single {2}· queued {2}the task "single" has reached its limit: 1 of 1 run$/);
    own.place.write({ before: "" });
    await terminal.shows(/single {2}▸ in progress$/);
    own.place.write({ mine: "" });
    await terminal.shows(/^alone$/);
    expect(terminal.lines.slice(1)).toEqual([expect.stringMatching(/single {2}✓ done$/), "alone"]);
  });

  test.concurrent("a narrow one gets what fits, without colours where they are not wanted", async () => {
    await using terminal = inTerminal(["paced", "--gate", "narrow"], 24, { NO_COLOR: "1" });
    await terminal.shows(/^[0-9a-f]{8} +paced +▸ in p.*…$/);
    scene.place.write({ narrow: "" });
    await terminal.shows(/^arrived$/);
    // The id takes two lines.
    expect(terminal.lines.slice(2)).toEqual([expect.stringMatching(/^[0-9a-f]{8} +paced +✓/), "arrived"]);
    expect(terminal.written.replaceAll("\r\x1b[K", "")).not.toContain("\x1b");
  });

  test.concurrent("one that cannot redraw gets lines", async () => {
    await using terminal = inTerminal(["paced", "--gate", "dumb"], 80, { TERM: "dumb" });
    await terminal.shows(/▸ in progress .*half way$/);
    scene.place.write({ dumb: "" });
    await terminal.shows(/^arrived$/);
    expect(terminal.lines.filter((line) => line.includes("in progress")).length).toBeGreaterThan(1);
    expect(terminal.written).not.toContain("\x1b");
  });

  test.concurrent("with --json the line is gone at the end, and JSON is all there is", async () => {
    await using terminal = inTerminal(["paced", "--gate", "json", "--json"]);
    await terminal.shows(/half way/);
    scene.place.write({ json: "" });
    await terminal.shows(/arrived/);
    expect(await terminal.exited).toBe(0);
    expect(JSON.parse(terminal.lines.join(""))).toMatchObject({ status: "done", result: "arrived" });
  });

  test.concurrent("Ctrl-C cancels", async () => {
    await using terminal = inTerminal(["slow", "--ms", "600000"]);
    await terminal.shows(/half way/);
    terminal.type(KEYS.ctrlC);
    await terminal.shows(/^artel: slow \S+ was cancelled/);
    expect(await terminal.exited).toBe(1);
  });
});
