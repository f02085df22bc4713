import { describe, expect, test } from "bun:test";
import { problem } from "../support/problems.ts";
import { suiteServer, type TaskView, TestServer } from "../support/server.ts";

const { server, gates } = await suiteServer();
const ada = await server.user();

const seen = async (response: Response): Promise<TaskView> => {
  expect(response.status).toBe(202);
  return (await response.json()) as TaskView;
};

describe("a running task", () => {
  test("shows live progress before it is stored, and its log", async () => {
    const gate = gates.add();
    const socket = await ada.socket();
    const id = await ada.submit("hold", { gate: gate.url });
    await socket.next((message) => message["task_id"] === id && message["progress"] === 0.25, "progress");
    expect(await ada.task(id)).toMatchObject({
      status: "in progress",
      progress: 0.25,
      message: "at the gate",
      finished_at: null,
    });
    gate.open("through");
    await socket.ended(id);
    expect(await ada.task(id)).toMatchObject({ status: "done", progress: 1, result: "through", error: null });
  });

  test("logs: oldest first, of all attempts", async () => {
    const { task_id, attempt, result } = await ada.run("flaky", { until: 3 });
    expect([attempt, result]).toEqual([3, 3]);
    const response = await ada.get(`/tasks/${task_id}/logs`);
    const { items } = (await response.json()) as { items: { at: string; level: string; message: string }[] };
    expect(items.map(({ level, message }) => `${level} ${message}`)).toEqual([
      "warn attempt 1",
      "warn attempt 2",
      "warn attempt 3",
    ]);
    for (const { at } of items) expect(new Date(at).toISOString()).toBe(at);
    const quiet = await ada.run("noop", {});
    expect(await (await ada.get(`/tasks/${quiet.task_id}/logs`)).json()).toEqual({ items: [] });
  });

  test("failures: the code that the task gave, or `error`", async () => {
    expect(await ada.run("broken", { code: "no_luck", message: 'bad "luck"\n' })).toMatchObject({
      status: "failed",
      result: null,
      error: { code: "no_luck", message: 'bad "luck"\n' },
    });
    expect(await ada.run("broken", { message: "plain" })).toMatchObject({ error: { code: "error", message: "plain" } });
  });

  test("a result over 8 MiB fails the task; a large one is whole", async () => {
    expect(await ada.run("large", { bytes: 8 * 1024 * 1024 + 3 })).toMatchObject({
      status: "failed",
      error: { code: "result_too_large" },
    });
    const { status, result } = await ada.run("large", { bytes: 3_000_000 });
    expect([status, String(result).length]).toEqual(["done", 2_999_998]);
  });
});

describe("cancel", () => {
  test("a waiting task ends at once", async () => {
    const socket = await ada.socket();
    const id = await ada.submit("echo", { value: 1 }, "?delay=1h");
    const cancelled = await seen(await ada.post(`/tasks/${id}/cancel`));
    expect(cancelled).toMatchObject({
      task_id: id,
      status: "cancelled",
      error: { code: "cancelled" },
      args: { value: 1 },
      result: null,
    });
    expect(cancelled.finished_at).not.toBeNull();
    await socket.status(id, "cancelled");
    expect(await problem(await ada.post(`/tasks/${id}/cancel`))).toMatchObject({ status: 409, code: "task_ended" });
  });

  test("a queued task that no worker takes up ends at once", async () => {
    const idle = await TestServer.start({ threads: 0 });
    try {
      const user = await idle.user();
      const id = await user.submit("echo", { value: 1 });
      expect(await seen(await user.post(`/tasks/${id}/cancel`))).toMatchObject({ status: "cancelled", started_at: null });
    } finally {
      await idle.stop();
    }
  });

  test("a running task is asked to stop, and then is cancelled", async () => {
    const gate = gates.add();
    const socket = await ada.socket();
    const id = await ada.submit("hold", { gate: gate.url });
    await socket.status(id, "in progress");
    expect(await seen(await ada.post(`/tasks/${id}/cancel`))).toMatchObject({ status: "in progress", cancel_requested: true });
    expect(await socket.ended(id)).toMatchObject({ status: "cancelled", error: { code: "cancelled" } });
    expect(await ada.task(id)).toMatchObject({ status: "cancelled", cancel_requested: true });
  });

  test("an ended task: 409", async () => {
    for (const { task_id } of [await ada.run("noop", {}), await ada.run("broken", { message: "x" })]) {
      expect(await problem(await ada.post(`/tasks/${task_id}/cancel`))).toMatchObject({ status: 409, code: "task_ended" });
    }
  });
});

describe("retry", () => {
  test("a failed task runs once more, from attempt 1, under its id", async () => {
    const failed = await ada.run("broken", { message: "x" });
    const socket = await ada.socket();
    const again = await seen(await ada.post(`/tasks/${failed.task_id}/retry`));
    expect(again).toMatchObject({
      task_id: failed.task_id,
      attempt: 1,
      error: null,
      finished_at: null,
      created_at: failed.created_at,
    });
    expect(again.seq).toBeGreaterThan(failed.seq);
    await socket.ended(failed.task_id);
    expect(await ada.task(failed.task_id)).toMatchObject({ status: "failed", attempt: 1 });
  });

  test("a cancelled task runs and ends", async () => {
    const id = await ada.submit("echo", { value: "at last" }, "?delay=1h");
    await seen(await ada.post(`/tasks/${id}/cancel`));
    const socket = await ada.socket();
    expect(await seen(await ada.post(`/tasks/${id}/retry`))).toMatchObject({ attempt: 1, cancel_requested: false });
    expect(await socket.ended(id)).toMatchObject({ status: "done", result: "at last" });
  });

  test("nothing else: 409", async () => {
    const done = await ada.run("noop", {});
    const waiting = await ada.submit("noop", {}, "?delay=1h");
    for (const id of [done.task_id, waiting]) {
      expect(await problem(await ada.post(`/tasks/${id}/retry`))).toMatchObject({ status: 409, code: "task_not_ended" });
    }
  });
});

describe("definitions", () => {
  test("each with all its fields, the built-in ones too", async () => {
    const response = await ada.get("/tasks/definitions");
    expect(response.status).toBe(200);
    const definitions = (await response.json()) as Record<string, unknown>[];
    for (const definition of definitions) {
      const { output: _, ...others } = definition;
      expect(Object.keys(others).sort()).toEqual(
        [
          "description",
          "input",
          "max_attempts",
          "name",
          "queue",
          "timeout_ms",
          "concurrency",
          "per_user",
          "starts_per_second",
        ].sort(),
      );
    }
    const strict = definitions.find(({ name }) => name === "strict");
    expect(strict).toMatchObject({ queue: "careful", timeout_ms: 30_000, max_attempts: 2, description: "" });
    expect(strict?.["input"]).toMatchObject({ type: "object", required: ["count", "name"], additionalProperties: false });
    expect(definitions.filter((each) => "output" in each).map(({ name }) => name)).toEqual(["parse"]);
  });
});
