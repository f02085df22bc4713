import { afterAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { problem } from "../support/problems.ts";
import { SCHEMA_FILES, schemaFolder } from "../support/schema-files.ts";
import { suiteServer, TestServer } from "../support/server.ts";

const folder = schemaFolder(SCHEMA_FILES);
afterAll(() => folder.remove());
const { server, gates } = await suiteServer({ tasksDirectory: folder.path, watchTasks: false });
const ada = await server.user();
const admin = await server.user({ admin: true });

const errorsOf = async (name: string, input: unknown) => {
  const response = await ada.post(`/tasks/${name}`, input);
  const { code, errors } = (await response.json()) as { code?: string; errors?: { path: string; message: string }[] };
  return [response.status, code, errors?.map(({ path }) => path)];
};

describe("an input whose schema is code", () => {
  test("zod: run gets what the schema makes of it, and what is kept is what was sent", async () => {
    const input = { name: "Ada", when: "2020-02-03T00:00:00Z" };
    const task = await ada.run("zodded", input);
    expect(task).toMatchObject({ status: "done", args: input, result: { year: 2020, name: "Ada", times: 3 } });
    // Its output schema says what a result has.
    expect(Object.keys(task.result as object)).toEqual(["year", "name", "times"]);
  });

  test("valibot and arktype", async () => {
    expect((await ada.run("valibotted", { n: "7" })).result).toEqual({ n: 7, word: "d" });
    expect((await ada.run("arktyped", { n: "12.5" })).result).toEqual({ n: 12.5, size: "s" });
  });

  test("422 with the pointers of the JSON Schema first, then of the code", async () => {
    expect(await errorsOf("zodded", { name: "A", times: 1.5 })).toEqual([422, "invalid_input", ["/name", "/times"]]);
    expect(await errorsOf("zodded", { name: "Ada", when: "soon", odd: 2 })).toEqual([422, "invalid_input", ["/when", "/odd"]]);
    expect(await errorsOf("valibotted", { n: "11" })).toEqual([422, "invalid_input", ["/n"]]);
    expect(await errorsOf("arktyped", { n: "many" })).toEqual([422, "invalid_input", ["/n"]]);
  });

  test("a batch is checked as one: all or none, with the input's index before each path", async () => {
    const inputs = Array.from({ length: 1_000 }, (_, i) => ({ name: "Ada", when: 0, odd: 2 * i + 1 }));
    expect(await ada.submitBatch("zodded", inputs)).toHaveLength(1_000);
    const refused = await ada.post("/tasks/zodded/batch", [...inputs.slice(0, 2), { name: "Ada", when: 0, odd: 4 }]);
    expect(await problem(refused)).toMatchObject({ status: 422, code: "invalid_input", paths: ["/2/odd"] });
  });

  test("unique goes by what was sent; a schedule runs with its input", async () => {
    const gate = gates.add();
    const first = await ada.submit("unique", { key: "a", gate: gate.url });
    expect(await ada.submit("unique", { key: "a" })).toBe(first);
    expect(await ada.submit("unique", { key: "b" })).not.toBe(first);
    gate.open();
    const ran = await admin.post("/schedules/unique/run");
    expect(ran.status).toBe(202);
    const { task_id: id } = (await ran.json()) as { task_id: string };
    expect((await admin.task(id)).args).toEqual({ key: "by schedule" });
  });

  test("an Idempotency-Key that a unique task was the answer to stands for it for good; another input 409", async () => {
    const gate = gates.add();
    const socket = await ada.socket();
    const first = await ada.submit("unique", { key: "once", gate: gate.url });
    const again = (input: unknown) => ada.post("/tasks/unique", input, { "idempotency-key": "once" });
    expect(await (await again({ key: "once" })).json()).toMatchObject({ task_id: first });
    gate.open();
    expect((await socket.ended(first)).status).toBe("done");
    const late = await again({ key: "once" });
    expect([late.status, late.headers.get("location"), await late.json()]).toEqual([
      202,
      `/tasks/${first}`,
      { task_id: first, status: "done" },
    ]);
    expect(await problem(await again({ key: "twice" }))).toMatchObject({ status: 409, code: "idempotency_conflict" });
    expect(await ada.submit("unique", { key: "once" })).not.toBe(first);
  });

  test("an attempt whose input is refused by then fails for good", async () => {
    const file = join(folder.path, "moods");
    expect(await ada.run("moody", { file })).toMatchObject({
      status: "failed",
      attempt: 1,
      error: { code: "invalid_input", message: 'the input does not fit "input": /file not again' },
    });
  });

  test("with --threads 0 as well", async () => {
    const alone = await TestServer.start({ tasksDirectory: folder.path, threads: 0 });
    const ben = await alone.user();
    expect((await ben.post("/tasks/arktyped", { n: "1" })).status).toBe(202);
    expect((await ben.post("/tasks/arktyped", { n: "x" })).status).toBe(422);
    await alone.stop();
  });
});

describe("a result with a schema", () => {
  test("one that does not fit fails the attempt, with the place", async () => {
    const wrong = await ada.run("zodded", { name: "wrong", when: 0 });
    expect(wrong).toMatchObject({ status: "failed", result: null, error: { code: "invalid_output" } });
    expect(wrong.error?.message).toStartWith('the result does not fit "output": /year ');
    expect((await ada.run("plain", { value: { list: [1, "2"] } })).error).toEqual({
      code: "invalid_output",
      message: 'the result does not fit "output": /list/1 must be integer',
    });
  });

  test("one that fits is the result", async () => {
    const value = { list: [1, 2], at: "2026-01-01T00:00:00Z" };
    expect((await ada.run("plain", { value })).result).toEqual(value);
  });

  test("the definitions and the document show it", async () => {
    const definitions = (await (await ada.get("/tasks/definitions")).json()) as {
      name: string;
      input: object;
      output?: object;
    }[];
    const named = (name: string) => definitions.find((each) => each.name === name);
    expect(named("plain")?.output).toMatchObject({ type: "object", properties: { list: { items: { type: "integer" } } } });
    expect(named("zodded")?.output).toMatchObject({ required: ["year", "name", "times"] });
    expect(named("arktyped")).not.toHaveProperty("output");
    // What is made anew each time is no default to show, and what is coerced takes anything.
    expect(named("zodded")?.input).toMatchObject({
      required: ["name"],
      properties: { times: { default: 3 }, id: { type: "string" } },
    });
    expect(JSON.stringify(named("zodded")?.input)).not.toMatch(/"id":\{"default/);
    const document = (await (await ada.get("/openapi.json")).json()) as { components: { schemas: Record<string, object> } };
    expect(document.components.schemas["output.plain"]).toMatchObject({ type: "object" });
    expect(document.components.schemas["input.valibotted"]).toMatchObject({ required: ["n"] });
  });
});

describe("a schema that goes wrong", () => {
  test("that loops: 503 for its input alone, all others are checked, and it harms nobody a second time", async () => {
    const others = Array.from({ length: 20 }, () => ada.post("/tasks/arktyped", { n: "1" }));
    const [looped, ...fine] = await Promise.all([
      ada.post("/tasks/trouble", { how: "loop" }),
      ada.post("/tasks/trouble", { how: "fine" }),
      ...others,
    ]);
    expect(await problem(looped)).toMatchObject({ status: 503, code: "schema_timeout" });
    expect(fine.map(({ status }) => status)).toEqual(fine.map(() => 202));
    // It has a thread of its own by now, so whoever comes behind it is not held up.
    const order: string[] = [];
    await Promise.all([
      ada.post("/tasks/trouble", { how: "loop" }).then(() => order.push("looped")),
      ada.post("/tasks/arktyped", { n: "1" }).then(() => order.push("fine")),
    ]);
    expect(order).toEqual(["fine", "looped"]);
  });

  test("that loops for a whole batch: others wait for a moment, once, and the task's own for as long as patience lasts", async () => {
    const fresh = await TestServer.start({ tasksDirectory: folder.path, watchTasks: false });
    const eve = await fresh.user();
    const [looped, fine] = await Promise.all([
      eve.post(
        "/tasks/trouble/batch",
        Array.from({ length: 500 }, () => ({ how: "loop" })),
      ),
      eve.post("/tasks/arktyped", { n: "1" }),
    ]);
    expect(await problem(looped)).toMatchObject({ status: 503, code: "schema_timeout" });
    expect(fine.status).toBe(202);
    expect((await eve.post("/tasks/trouble", { how: "fine" })).status).toBe(202);
    await fresh.stop();
  });

  test("that is slow for a whole batch: the same", async () => {
    const slow = `import { task } from "artel"; import { z } from "zod";
      const busy = (ms: number): boolean => { for (const until = performance.now() + ms; performance.now() < until; ); return true; };
      export default task({ input: z.object({ ms: z.number() }).refine(({ ms }) => busy(ms)), run: ({ ms }) => ms });`;
    const files = schemaFolder({ slow, arktyped: SCHEMA_FILES["arktyped"] ?? "" });
    const fresh = await TestServer.start({ tasksDirectory: files.path, watchTasks: false });
    const eve = await fresh.user();
    const batch = eve.post(
      "/tasks/slow/batch",
      Array.from({ length: 500 }, () => ({ ms: 400 })),
    );
    const [slowed, fine] = await Promise.all([batch, eve.post("/tasks/arktyped", { n: "1" })]);
    expect(await problem(slowed)).toMatchObject({ status: 503, code: "schema_timeout" });
    expect(fine.status).toBe(202);
    expect((await eve.post("/tasks/slow", { ms: 1 })).status).toBe(202);
    expect((await eve.post("/tasks/slow/batch", [{ ms: 300 }, { ms: 300 }])).status).toBe(202);
    await fresh.stop();
    files.remove();
  });

  test("that never answers, throws or ends its thread: a code of its own, and nothing of the inside", async () => {
    const [never, thrown, late] = await Promise.all(["never", "throw", "late"].map((how) => ada.post("/tasks/trouble", { how })));
    expect(await problem(never as Response)).toMatchObject({ status: 503, code: "schema_timeout" });
    const told = await problem(thrown as Response);
    expect(told).toMatchObject({ status: 503, code: "schema_failed" });
    expect(told.text).not.toContain("secret");
    expect(JSON.stringify(server.lines)).toMatch(/trouble\.ts:\d+:\d+: secret/);
    expect(late?.status).toBe(202);
    expect(await problem(await ada.post("/tasks/trouble", { how: "exit" }))).toMatchObject({
      status: 503,
      code: "schema_failed",
    });
  });
});
