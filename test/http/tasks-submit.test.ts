import { describe, expect, test } from "bun:test";
import { BODY_MAX_BYTES } from "../../src/http/body.ts";
import { problem } from "../support/problems.ts";
import { suiteServer } from "../support/server.ts";

const UUID7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

const { server } = await suiteServer();
const ada = await server.user();

/** Sends a body as it is. */
const raw = (path: string, body: RequestInit["body"], headers: Record<string, string> = {}) =>
  server.fetch(path, { method: "POST", headers: { ...ada.headers, ...headers }, ...(body == null ? {} : { body }) });

/** A body whose length is not declared. */
const stream = (bytes: number): ReadableStream =>
  new ReadableStream({
    start(controller) {
      for (let left = bytes; left > 0; left -= 65_536) controller.enqueue(new Uint8Array(Math.min(left, 65_536)).fill(0x20));
      controller.close();
    },
  });

describe("accepting", () => {
  test("202 with the id, the status and where to look", async () => {
    const response = await ada.post("/tasks/echo", { value: 1 });
    expect(response.status).toBe(202);
    const body = (await response.json()) as { task_id: string };
    expect(body).toEqual({ task_id: expect.stringMatching(UUID7), status: "queued" } as never);
    expect(response.headers.get("location")).toBe(`/tasks/${body.task_id}`);
    expect((await ada.get(response.headers.get("location") ?? "")).status).toBe(200);
  });

  test("a task has exactly the contract's fields, and priority beside them", async () => {
    const task = await ada.run("strict", { count: 3, name: "Ada", deep: { flag: true } });
    expect(task).toEqual({
      task_id: expect.stringMatching(UUID7),
      owner_id: ada.id,
      name: "strict",
      queue: "careful",
      priority: "normal",
      status: "done",
      args: { count: 3, name: "Ada", deep: { flag: true } },
      progress: 1,
      message: null,
      result: { count: 3, name: "Ada", deep: { flag: true } },
      error: null,
      attempt: 1,
      max_attempts: 2,
      cancel_requested: false,
      created_at: expect.stringMatching(TIME),
      run_at: task.created_at,
      started_at: expect.stringMatching(TIME),
      finished_at: expect.stringMatching(TIME),
      seq: expect.any(Number),
    } as never);
  });

  test("any JSON value as input", async () => {
    for (const input of [null, 0, "text", [], {}, false, [{ a: [null] }], '\u0000\ud800 é 💥 " \\']) {
      const id = await ada.submit("any", input);
      expect((await ada.task(id)).args).toEqual(input);
    }
  });

  test("a body without a content type is JSON", async () => {
    expect((await raw("/tasks/echo", new Blob([`{"value":1}`]))).status).toBe(202);
    expect((await raw("/tasks/echo", `{"value":1}`, { "content-type": "application/json; charset=utf-8" })).status).toBe(202);
  });

  test("delay: scheduled, not before run_at, then it runs", async () => {
    const socket = await ada.socket();
    const response = await ada.post("/tasks/echo?delay=300ms", { value: "later" });
    const { task_id, status } = (await response.json()) as { task_id: string; status: string };
    expect([response.status, status]).toEqual([202, "scheduled"]);
    const waiting = await ada.task(task_id);
    expect(Date.parse(waiting.run_at) - Date.parse(waiting.created_at)).toBe(300);
    await socket.ended(task_id);
    const done = await ada.task(task_id);
    expect(done).toMatchObject({ status: "done", result: "later", run_at: waiting.run_at });
    expect(Date.parse(done.started_at ?? "")).toBeGreaterThanOrEqual(Date.parse(done.run_at));
    expect(socket.notices.filter((notice) => notice.task_id === task_id).map((notice) => notice.status)).toEqual([
      "scheduled",
      "queued",
      "in progress",
      "done",
    ]);
  });

  test("priority", async () => {
    for (const priority of ["low", "normal", "high"]) {
      const id = await ada.submit("echo", { value: 1 }, `?priority=${priority}`);
      expect(await ada.task(id)).toMatchObject({ priority });
    }
  });
});

describe("refusing", () => {
  test("whoever has no token, before anything is read", async () => {
    for (const [method, path] of [
      ["GET", "/tasks"],
      ["GET", "/tasks/definitions"],
      ["POST", "/tasks/echo"],
      ["POST", "/tasks/echo/batch"],
      ["GET", `/tasks/${crypto.randomUUID()}`],
      ["GET", `/tasks/${crypto.randomUUID()}/logs`],
      ["POST", `/tasks/${crypto.randomUUID()}/cancel`],
      ["POST", `/tasks/${crypto.randomUUID()}/retry`],
    ] as const) {
      expect(await problem(await server.fetch(path, { method }))).toMatchObject({ status: 401, code: "unauthorized" });
      const bad = await server.fetch(path, { method, headers: { authorization: "Bearer a.b.c" } });
      expect(await problem(bad)).toMatchObject({ status: 401, code: "invalid_token" });
    }
    const huge = await server.fetch("/tasks/echo", { method: "POST", body: "x".repeat(2 * BODY_MAX_BYTES) });
    expect(await problem(huge)).toMatchObject({ status: 401 });
  });

  test("inputs that do not fit: 422 with every place", async () => {
    const seen = await problem(await ada.post("/tasks/strict", { count: "1", deep: { flag: 1, more: 2 }, extra: null }));
    expect(seen).toMatchObject({
      status: 422,
      code: "invalid_input",
      paths: ["/count", "/deep/flag", "/deep/more", "/extra", "/name"],
    });
    for (const input of [null, [], 1, "x", true]) {
      expect(await problem(await ada.post("/tasks/strict", input))).toMatchObject({
        status: 422,
        code: "invalid_input",
        paths: [""],
      });
    }
    expect(await problem(await ada.post("/tasks/strict", { count: 1.5, name: "" }))).toMatchObject({
      status: 422,
      paths: ["/count", "/name"],
    });
    expect(await problem(await raw("/tasks/strict", undefined))).toMatchObject({ status: 422, code: "invalid_input" });
  });

  test("what is no JSON: 400; not declared as JSON: 415", async () => {
    for (const body of ["{", "{'a':1}", "undefined", "{}x", "\u0000"]) {
      expect(await problem(await raw("/tasks/echo", body, { "content-type": "application/json" }))).toMatchObject({
        status: 400,
        code: "invalid_json",
      });
    }
    expect(await problem(await raw("/tasks/echo", `{"value":1}`, { "content-type": "text/plain" }))).toMatchObject({
      status: 415,
    });
  });

  test("more than 1 MiB: 413, with and without a declared length, up to sizes that Bun itself would refuse", async () => {
    for (const bytes of [BODY_MAX_BYTES + 1, 12 * BODY_MAX_BYTES]) {
      for (const body of [new Uint8Array(bytes).fill(0x20), stream(bytes)]) {
        const response = await raw("/tasks/echo", body, { "content-type": "application/json" });
        expect(await problem(response)).toMatchObject({ status: 413, code: "body_too_large" });
      }
    }
    const most = `{"value":"${"x".repeat(BODY_MAX_BYTES - 12)}"}`;
    expect(most.length).toBe(BODY_MAX_BYTES);
    expect((await raw("/tasks/echo", most, { "content-type": "application/json" })).status).toBe(202);
  });

  test("queries that are not as declared: 422", async () => {
    for (const [query, paths] of [
      ["delay=soon", ["/delay"]],
      ["delay=-1s", ["/delay"]],
      ["delay=30", ["/delay"]],
      ["delay=400d", ["/delay"]],
      ["delay=", ["/delay"]],
      ["priority=urgent", ["/priority"]],
      ["priority=", ["/priority"]],
      ["more=1", ["/more"]],
    ] as const) {
      expect(await problem(await ada.post(`/tasks/echo?${query}`, { value: 1 }))).toMatchObject({ status: 422, paths });
      expect(await problem(await ada.post(`/tasks/echo/batch?${query}`, [{ value: 1 }]))).toMatchObject({ status: 422, paths });
    }
    const { text } = await problem(await ada.post("/tasks/echo?priority=urgent&more=1", { value: 1 }));
    expect(JSON.parse(text)).toMatchObject({
      errors: [
        { path: "/more", message: "unknown field" },
        { path: "/priority", message: "must be one of low, normal, high" },
      ],
    });
    const { text: missing } = await problem(await ada.post("/auth/login", { email: "ada@example.com" }));
    expect(JSON.parse(missing)).toMatchObject({ errors: [{ path: "/password", message: "required" }] });
  });

  test("unknown tasks, addresses and methods", async () => {
    expect(await problem(await ada.post("/tasks/nothing", {}))).toMatchObject({ status: 404, code: "unknown_task" });
    expect(await problem(await ada.post("/tasks/nothing/batch", [{}]))).toMatchObject({ status: 404, code: "unknown_task" });
    expect(await problem(await ada.get("/nothing"))).toMatchObject({ status: 404, code: "not_found" });
    expect(await problem(await ada.get("/tasks/a/b/c"))).toMatchObject({ status: 404, code: "not_found" });
    for (const [method, path, allow] of [
      ["PUT", "/tasks", "GET, HEAD"],
      ["POST", "/tasks", "GET, HEAD"],
      ["POST", "/tasks/", "GET, HEAD"],
      ["DELETE", `/tasks/${crypto.randomUUID()}`, "GET, POST, HEAD"],
      ["GET", `/tasks/${crypto.randomUUID()}/cancel`, "POST"],
      ["POST", "/health/live", "GET, HEAD"],
    ] as const) {
      const response = await server.fetch(path, { method, headers: ada.headers });
      expect(response.headers.get("allow")).toBe(allow);
      expect(await problem(response)).toMatchObject({ status: 405, code: "method_not_allowed" });
    }
  });
});
