import { afterAll, describe, expect, test } from "bun:test";
import { problem } from "../support/problems.ts";
import { schemaFolder } from "../support/schema-files.ts";
import { suiteServer } from "../support/server.ts";

const taskOf = (input: string): string =>
  `import { task, t } from "artel"; export default task({ input: ${input}, retry: 1, run: (input) => input });`;
const NESTED = "t.Recursive((Self) => t.Object({ size: t.Integer({ default: 7 }), inner: t.Optional(Self) }))";
const folder = schemaFolder({
  trailing: taskOf('t.Object({ text: t.String({ pattern: "\\\\s+$" }), n: t.Integer({ default: 3 }) })'),
  other: taskOf('t.Object({ text: t.String({ pattern: "[0-9]+$" }) })'),
  plain: taskOf("t.Object({ text: t.String() })"),
  nested: taskOf(NESTED),
  list: taskOf("t.Object({ items: t.Array(t.Object({ n: t.Integer() }), { uniqueItems: true }) })"),
  any: taskOf("t.Any()"),
});
afterAll(() => folder.remove());
const { server } = await suiteServer({ tasksDirectory: folder.path, watchTasks: false });
const ada = await server.user();

/** Takes seconds to be searched for trailing blanks: from each of them to the last. */
const HOSTILE = { text: `${" ".repeat(100_000)}x` };

describe("a schema whose cost depends on the input", () => {
  test("says what it always says, and fills in its defaults", async () => {
    expect((await ada.run("trailing", { text: "a " })).args).toEqual({ text: "a ", n: 3 });
    expect((await ada.run("nested", { inner: { size: 1, inner: {} } })).args).toEqual({
      size: 7,
      inner: { size: 1, inner: { size: 7 } },
    });
    expect(await problem(await ada.post("/tasks/trailing", { text: "a" }))).toMatchObject({ status: 422, paths: ["/text"] });
    expect(await problem(await ada.post("/tasks/nested", { inner: { size: "1" } }))).toMatchObject({
      status: 422,
      paths: ["/inner/size"],
    });
    expect(await problem(await ada.post("/tasks/trailing/batch", [{ text: " " }, { text: "a" }]))).toMatchObject({
      paths: ["/1/text"],
    });
  });

  test("many distinct objects are compared without a thread's limit", async () => {
    const items = Array.from({ length: 60_000 }, (_, n) => ({ n }));
    expect((await ada.post("/tasks/list", { items })).status).toBe(202);
    expect(await problem(await ada.post("/tasks/list", { items: [...items, { n: 0 }] }))).toMatchObject({
      status: 422,
      paths: ["/items"],
    });
  });

  test("a hostile input: 503 for it alone; it delays no other request, and from then on no other task's input", async () => {
    const order: string[] = [];
    const told = (name: string) => (response: Response) => {
      order.push(name);
      return response;
    };
    const [first] = await Promise.all([
      ada.post("/tasks/trailing", HOSTILE).then(told("hostile")),
      ada.post("/tasks/plain", { text: "a" }).then(told("plain")),
      ada.get("/tasks").then(told("list")),
    ]);
    expect(await problem(first)).toMatchObject({ status: 503, code: "schema_timeout" });
    expect(order.at(-1)).toBe("hostile");

    const [again, fine] = await Promise.all([
      ada.post("/tasks/trailing", HOSTILE).then(told("hostile again")),
      ada.post("/tasks/other", { text: "1" }).then(told("other")),
    ]);
    expect(await problem(again)).toMatchObject({ status: 503, code: "schema_timeout" });
    expect(fine.status).toBe(202);
    expect(order.slice(-2)).toEqual(["other", "hostile again"]);
    // A thread cannot be called back from a search: its task is refused until it has come to an end, and only its task.
    expect((await ada.post("/tasks/other", { text: "2" })).status).toBe(202);
    let next = await ada.post("/tasks/trailing", { text: " " });
    while (next.status === 503) next = await ada.post("/tasks/trailing", { text: " " });
    expect(next.status).toBe(202);
  });

  test("in a workflow: with a result put in, the worker has the last word", async () => {
    const socket = await ada.socket();
    const steps = (text: string) => ({
      chain: [
        { task: "any", input: { text } },
        { task: "trailing", input: { text: { $result: "/text" } } },
      ],
    });
    const submitted = await Promise.all(
      ["fits ", "does not"].map(
        async (text) => (await (await ada.post("/workflows", steps(text))).json()) as { task_ids: string[] },
      ),
    );
    const [fits, misfits] = submitted.map(({ task_ids: ids }) => ids[1] ?? "");
    expect(await socket.ended(fits ?? "")).toMatchObject({ status: "done" });
    expect((await ada.task(fits ?? "")).result).toEqual({ text: "fits ", n: 3 });
    await socket.ended(misfits ?? "");
    expect((await ada.task(misfits ?? "")).error).toEqual({
      code: "invalid_input",
      message: 'the input does not fit "input": /text must match pattern "\\s+$"',
    });
  });
});
