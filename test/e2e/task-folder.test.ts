import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { rmSync } from "node:fs";
import { type ArtelProcess, Place } from "../support/artel-process.ts";
import { Client, expectStatus, type Task } from "../support/e2e-client.ts";
import { ownRedis, Site, workersOf } from "../support/e2e-site.ts";
import { TASKS } from "../support/e2e-tasks.ts";
import { View } from "../support/e2e-view.ts";
import { eventually, LIMIT_MS } from "../support/waiting.ts";

setDefaultTimeout(LIMIT_MS);

const saying = (word: string, input = "t.Object({})", head = ""): string =>
  `import { task, t } from "artel";\n${head}export default task({ input: ${input}, run: () => "${word}" });\n`;
/** Waits for its gate, then says its word and that of a module beside it. */
const waiting = (word: string): string => (TASKS["tasks/gated.ts"] ?? "").replace('return "through";', `return "${word}";`);

interface Scene extends AsyncDisposable {
  readonly place: Place;
  readonly server: ArtelProcess;
  readonly ada: Client;
  readonly view: View;
}

async function scene(files: Readonly<Record<string, string>>, args: readonly string[] = []): Promise<Scene> {
  await using starting = new AsyncDisposableStack();
  const place = starting.use(await Place.make());
  place.write({ "tasks/readme.md": "", ...files });
  const { url, process } = await place.serve(["--tasks", "tasks", "--threads", "2", ...args]);
  const ada = await Client.register(url);
  const view = await View.open(ada);
  starting.defer(() => view.close());
  const resources = starting.move();
  return { place, server: process, ada, view, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

/** Waits until the server has said so many times that the files have changed. */
async function changed({ server }: Scene, times: number): Promise<void> {
  const said = () => server.log.filter(({ message }) => message === "task files have changed").length;
  await server.until(() => (said() >= times ? true : undefined), `${times} changes of the task files`);
}

const names = async (ada: Client): Promise<string[]> =>
  (expectStatus(200, await ada.call("GET", "/tasks/definitions")) as { name: string }[]).map(({ name }) => name).sort();
const read = async (ada: Client, id: string): Promise<Task & { waiting?: string }> =>
  expectStatus(200, await ada.call("GET", `/tasks/${id}`)) as Task & { waiting?: string };
const detail = async (ada: Client): Promise<string | undefined> =>
  ((await ada.call("GET", "/health/ready")).body as { checks: { tasks: { detail?: string } } }).checks.tasks.detail;

describe("a tasks folder, while it is served", () => {
  test.concurrent("a new file is a route, a worker's code and part of the document", async () => {
    await using all = await scene({});
    const { place, ada, view } = all;
    expect(await names(ada)).toEqual(["parse"]);
    place.write({ "tasks/hello.ts": saying("hello", "t.Object({ n: t.Integer() })") });
    await changed(all, 1);
    expect(await names(ada)).toEqual(["hello", "parse"]);
    expect(await ada.call("POST", "/tasks/hello", { n: "1" })).toMatchObject({ status: 422 });
    const id = await ada.submit("hello", { n: 1 });
    await view.ended([id]);
    expect(view.tasks.get(id)?.result).toBe("hello");
    expect(JSON.stringify((await ada.call("GET", "/openapi.json")).body)).toContain("/tasks/hello");
  });

  test.concurrent("a change counts for what begins from then on; what runs ends on the old code, what waited runs the new", async () => {
    await using all = await scene({ "tasks/gated.ts": waiting("old"), "tasks/hello.ts": saying("old") }, ["--slots", "1"]);
    const { place, ada, view } = all;
    const running = await ada.submitAll(
      "gated",
      ["a", "b"].map((gate) => ({ gate })),
    );
    for (const id of running) await view.status(id, "in progress");
    const queued = await ada.submit("gated", { gate: "a" });
    place.write({ "tasks/gated.ts": waiting("new"), "tasks/hello.ts": saying("new") });
    await changed(all, 1);
    const after = await ada.submit("hello", {});
    // Two threads are busy with the old code: new ones are there beside them.
    await view.ended([after]);
    place.write({ a: "", b: "" });
    await view.ended([...running, queued]);
    expect([...running, queued, after].map((id) => view.tasks.get(id)?.result)).toEqual(["old", "old", "new", "new"]);
    expect([...running, queued, after].map((id) => view.tasks.get(id)?.attempt)).toEqual([1, 1, 1, 1]);
    expect(view.faults).toEqual([]);
  });

  test.concurrent("a change of a module that a file imports counts as well; one of data does not", async () => {
    const uses = `import { task, t } from "artel"; import { word } from "./lib/word.ts";
      export default task({ input: t.Object({}), run: () => word });`;
    await using all = await scene({ "tasks/uses.ts": uses, "tasks/lib/word.ts": 'export const word = "one";' });
    const { place, ada, view } = all;
    place.write({ "tasks/state.json": "{}", "tasks/lib/notes.md": "x" });
    place.write({ "tasks/lib/word.ts": 'export const word = "two";' });
    await changed(all, 1);
    const id = await ada.submit("uses", {});
    await view.ended([id]);
    expect(view.tasks.get(id)?.result).toBe("two");
    expect(all.server.log.filter(({ message }) => message === "task files have changed")).toHaveLength(1);
  });

  test.concurrent("one that is broken now is named, takes nothing else along, and its tasks wait until it is mended", async () => {
    await using all = await scene({ "tasks/hello.ts": saying("one"), "tasks/other.ts": saying("other") });
    const { place, ada, view, server } = all;
    place.write({ "tasks/hello.ts": `import { task, t } from "artel";\nexport default task({,});\n` });
    await changed(all, 1);
    expect(server.log.find(({ message }) => message === "task file left out")?.["reason"]).toMatch(/^hello\.ts:2:\d+: /);
    expect(await detail(ada)).toMatch(/^hello\.ts:2:\d+: /);
    const [held, other] = [await ada.submit("hello", {}), await ada.submit("other", {})];
    await view.ended([other]);
    expect(await read(ada, held)).toMatchObject({ status: "queued", waiting: 'no worker has the task "hello"' });
    place.write({ "tasks/hello.ts": saying("two") });
    await changed(all, 2);
    await view.ended([held]);
    expect(view.tasks.get(held)?.result).toBe("two");
    expect(await detail(ada)).toBeUndefined();
    expect((await read(ada, held)).waiting).toBeUndefined();
  });

  test.concurrent("one that is removed is no route any more; its queued tasks wait, and say so, until it is back", async () => {
    await using all = await scene({ "tasks/hello.ts": saying("one") }, ["--threads", "1", "--slots", "1"]);
    const { place, ada, view } = all;
    place.write({ "tasks/gated.ts": waiting("through") });
    await changed(all, 1);
    const gate = await ada.submit("gated", { gate: "open" });
    await view.status(gate, "in progress");
    const held = await ada.submit("hello", {});
    rmSync(place.path("tasks/hello.ts"));
    await changed(all, 2);
    expect(await names(ada)).toEqual(["gated", "parse"]);
    expect(await ada.call("POST", "/tasks/hello", {})).toMatchObject({ status: 404, body: { code: "unknown_task" } });
    place.write({ open: "" });
    await view.ended([gate]);
    expect(await read(ada, held)).toMatchObject({ status: "queued", waiting: 'no worker has the task "hello"' });
    place.write({ "tasks/hello.ts": saying("again") });
    await view.ended([held]);
    expect(view.tasks.get(held)?.result).toBe("again");
  });

  test.concurrent("--no-watch: what was loaded at the start stays", async () => {
    await using all = await scene({ "tasks/hello.ts": saying("one") }, ["--no-watch"]);
    const { place, ada, view, server } = all;
    place.write({ "tasks/hello.ts": "broken(", "tasks/more.ts": saying("more") });
    // A server that watches, started later on the same folder, has seen them by the time that it serves.
    const second = await place.serve(["--tasks", "tasks", "--data", "other"]);
    await second.process.logged("task file left out");
    expect(await names(ada)).toEqual(["hello", "parse"]);
    expect(server.log.filter(({ message }) => String(message).startsWith("task file"))).toEqual([]);
    expect(await ada.call("POST", "/tasks/more", {})).toMatchObject({ status: 404 });
    await view.close();
  });

  test.concurrent("saved again and again under load, nothing is lost and nothing runs twice", async () => {
    await using all = await scene({ "tasks/quick.ts": TASKS["tasks/quick.ts"] ?? "" });
    const { place, ada, view } = all;
    const ids: string[] = [];
    for (let round = 1; round <= 4; round += 1) {
      ids.push(
        ...(await ada.submitAll(
          "quick",
          Array.from({ length: 1_000 }, (_, n) => ({ n })),
        )),
      );
      place.write({ "tasks/quick.ts": `${TASKS["tasks/quick.ts"]}// ${round}\n` });
      await changed(all, round);
    }
    await view.ended(ids);
    expect(ids.map((id) => [view.tasks.get(id)?.status, view.tasks.get(id)?.attempt, view.ends.get(id)])).toEqual(
      ids.map(() => ["done", 1, 1]),
    );
    const effects = (await Bun.file(place.path("effects")).text()).trim().split("\n");
    expect(effects.sort()).toEqual([...ids].sort());
  });
});

describe.skipIf(!ownRedis)("a tasks folder on a worker elsewhere", () => {
  test.concurrent("a new file is worked on there, and its worker says so", async () => {
    await using site = await Site.make();
    const { url } = await site.serve();
    const ada = await Client.register(url);
    await site.promote(ada);
    const view = await View.open(ada);
    await site.work();
    site.place.write({ "tasks/later.ts": saying("later") });
    const listed = async () => ((await workersOf(ada)).some(({ tasks }) => tasks.includes("later")) ? true : undefined);
    await eventually(listed, "the worker with the new task");
    const id = await eventually(async () => {
      const { status, body } = await ada.call("POST", "/tasks/later", {});
      return status === 202 ? (body as { task_id: string }).task_id : undefined;
    }, "the new route");
    await view.ended([id]);
    expect(view.tasks.get(id)?.result).toBe("later");
    view.close();
  });
});
