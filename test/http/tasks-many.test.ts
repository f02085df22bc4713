import { describe, expect, test } from "bun:test";
import { problem } from "../support/problems.ts";
import { suiteServer, TestServer } from "../support/server.ts";

const UUID7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

const { server, gates } = await suiteServer();
const ada = await server.user();

describe("Idempotency-Key", () => {
  const key = (name: string) => ({ "idempotency-key": name });
  const idOf = async (response: Response) => ((await response.json()) as { task_id: string }).task_id;

  test("the same input gets the same task, also when it is done; another input 409", async () => {
    const input = { count: 1, name: "a" };
    const first = await ada.post("/tasks/strict", input, key("k1"));
    const id = await idOf(first);
    const again = await ada.post("/tasks/strict", { name: "a", count: 1 }, key("k1"));
    expect([again.status, again.headers.get("location"), await idOf(again)]).toEqual([202, `/tasks/${id}`, id]);
    expect(await problem(await ada.post("/tasks/strict", { count: 2, name: "a" }, key("k1")))).toMatchObject({
      status: 409,
      code: "idempotency_conflict",
    });
    const socket = await ada.socket(`?since=0`);
    await socket.ended(id);
    const late = await ada.post("/tasks/strict", input, key("k1"));
    expect([late.status, await late.json()]).toEqual([202, { task_id: id, status: "done" }]);
  });

  test("is per user and task", async () => {
    const bob = await server.user();
    const ids = [
      await idOf(await ada.post("/tasks/any", {}, key("k2"))),
      await idOf(await bob.post("/tasks/any", {}, key("k2"))),
      await idOf(await ada.post("/tasks/noop", {}, key("k2"))),
      await idOf(await ada.post("/tasks/any", {}, key("K2"))),
    ];
    expect(new Set(ids).size).toBe(4);
    // Another input under somebody else's key is no conflict: it would tell of him.
    expect((await (await server.user()).post("/tasks/any", { other: true }, key("k2"))).status).toBe(202);
  });

  test("many at once make one task", async () => {
    const responses = await Promise.all(Array.from({ length: 40 }, () => ada.post("/tasks/any", { n: 1 }, key("k3"))));
    expect(responses.map(({ status }) => status)).toEqual(new Array(40).fill(202));
    expect(new Set(await Promise.all(responses.map(idOf))).size).toBe(1);
    const mixed = await Promise.all(Array.from({ length: 20 }, (_, i) => ada.post("/tasks/any", { n: i % 2 }, key("k4"))));
    expect(mixed.filter(({ status }) => status === 202).length).toBe(10);
    expect(mixed.filter(({ status }) => status === 409).length).toBe(10);
  });

  test("must be visible ASCII, and batches take none", async () => {
    expect((await ada.post("/tasks/any", {}, key("x".repeat(255)))).status).toBe(202);
    for (const bad of ["x".repeat(256), "with space", ""]) {
      expect(await problem(await ada.post("/tasks/any", {}, key(bad)))).toMatchObject({
        status: 422,
        code: "invalid_idempotency_key",
      });
    }
    expect(await problem(await ada.post("/tasks/any/batch", [1, 2], key("k5")))).toMatchObject({
      status: 422,
      code: "invalid_idempotency_key",
    });
  });
});

describe("batches", () => {
  test("a thousand, in order, each its own task", async () => {
    const ids = await ada.submitBatch(
      "any",
      Array.from({ length: 1_000 }, (_, i) => i),
    );
    expect(new Set(ids).size).toBe(1_000);
    expect(ids.every((id) => UUID7.test(id))).toBe(true);
    for (const i of [0, 499, 999]) expect((await ada.task(ids[i] ?? "")).args).toBe(i);
    expect(await ada.submitBatch("any", [null])).toHaveLength(1);
  });

  test("with delay and priority", async () => {
    const response = await ada.post("/tasks/any/batch?delay=1h&priority=low", [1, 2]);
    const { task_ids } = (await response.json()) as { task_ids: string[] };
    for (const id of task_ids) expect(await ada.task(id)).toMatchObject({ status: "scheduled", priority: "low" });
  });

  test("all or none", async () => {
    const eve = await server.user();
    const wrong = [
      { count: 1, name: "a" },
      { count: 2, name: "b" },
      { count: "3", name: "c", more: 1 },
    ];
    expect(await problem(await eve.post("/tasks/strict/batch", wrong))).toMatchObject({
      status: 422,
      code: "invalid_input",
      paths: ["/2/count", "/2/more"],
    });
    for (const body of [[], {}, null, "x", Array.from({ length: 1_001 }, (_, i) => i)]) {
      expect(await problem(await eve.post("/tasks/any/batch", body))).toMatchObject({ status: 422, code: "invalid_input" });
    }
    expect(await (await eve.get("/tasks")).json()).toEqual({ items: [], next_cursor: null });
  });
});

describe("too many", () => {
  test("429 queue_full with Retry-After; a batch is refused whole; room comes back", async () => {
    const small = await TestServer.start({ maxQueuedPerUser: 3, maxQueued: 5 });
    try {
      const [one, two] = [await small.user(), await small.user()];
      const gate = gates.add();
      const ids = await one.submitBatch("hold", [{ gate: gate.url }, { gate: gate.url }]);
      expect(await problem(await one.post("/tasks/any/batch", [1, 2]))).toMatchObject({ status: 429, code: "queue_full" });
      const key = { "idempotency-key": "k" };
      const third = await one.post("/tasks/any?delay=1h", 3, key);
      expect(third.status).toBe(202);
      expect(await problem(await one.post("/tasks/any", 4))).toMatchObject({ status: 429, code: "queue_full" });
      // What is there already is no new task.
      expect((await one.post("/tasks/any", 3, key)).status).toBe(202);
      expect((await two.post("/tasks/any/batch?delay=1h", [1, 2])).status).toBe(202);
      expect(await problem(await two.post("/tasks/any", 3))).toMatchObject({ status: 429, code: "queue_full" });
      const socket = await one.socket();
      gate.open();
      for (const id of ids) await socket.ended(id);
      expect((await one.post("/tasks/any", 4)).status).toBe(202);
    } finally {
      await small.stop();
    }
  });
});
