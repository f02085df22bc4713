import { describe, expect, test } from "bun:test";
import { Value } from "@sinclair/typebox/value";
import { Elysia, NotFoundError, ParseError, t, ValidationError } from "elysia";
import {
  ArtelError,
  Conflict,
  Forbidden,
  InvalidInput,
  NotFound,
  TooMany,
  Unauthorized,
  Unavailable,
} from "../../src/domain/errors.ts";
import {
  HttpError,
  methodsOf,
  ProblemSchema,
  problemHandler,
  problemResponse,
  problemResponses,
} from "../../src/http/problem.ts";
import { recordingLog } from "../support/manual-runtime.ts";

async function answer(error: unknown) {
  const response = problemResponse(error);
  const problem = (await response.json()) as typeof ProblemSchema.static;
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  expect(Value.Check(ProblemSchema, problem)).toBe(true);
  expect(problem.status).toBe(response.status);
  return { status: response.status, code: problem.code, problem, headers: response.headers };
}

describe("errors", () => {
  test.each([
    [422, "weak_password", new InvalidInput("weak_password", "x")],
    [400, "invalid_json", new InvalidInput("invalid_json", "x")],
    [404, "not_found", new NotFound("not_found", "x")],
    [409, "email_taken", new Conflict("email_taken", "x")],
    [401, "invalid_token", new Unauthorized("invalid_token", "x")],
    [403, "forbidden", new Forbidden("forbidden", "x")],
    [429, "queue_full", new TooMany("queue_full", "x", 1)],
    [503, "storage_unavailable", new Unavailable("storage_unavailable", "x")],
    [413, "body_too_large", new HttpError(413, "body_too_large", "x")],
    [400, "invalid_json", new ParseError(new SyntaxError("secret"))],
    [401, "invalid_token", new ParseError(new Unauthorized("invalid_token", "x"))],
    [404, "not_found", new NotFoundError()],
    [500, "internal", new ArtelError("inner", "secret")],
    [500, "internal", new Error("secret")],
    [500, "internal", "secret"],
    [500, "internal", undefined],
    [500, "internal", null],
  ])("%d %s", async (status, code, error) => {
    const got = await answer(error);
    expect([got.status, got.code]).toEqual([status, code]);
    expect(JSON.stringify(got.problem)).not.toContain("secret");
  });

  test("carry what clients act on", async () => {
    expect((await answer(new Unauthorized("x", "x"))).headers.get("www-authenticate")).toStartWith("Bearer");
    expect((await answer(new TooMany("x", "x", 1_001))).headers.get("retry-after")).toBe("2");
    expect((await answer(new TooMany("x", "x", 0))).headers.get("retry-after")).toBe("1");
    const { problem } = await answer(new InvalidInput("x", "x", [{ path: "/a/0", message: "m" }]));
    expect(problem.errors).toEqual([{ path: "/a/0", message: "m" }]);
    expect((await answer(new InvalidInput("x", "x"))).problem).not.toHaveProperty("errors");
  });

  test("of validation name each place once, and none of the values", async () => {
    const schema = t.Object({
      password: t.String({ minLength: 5 }),
      list: t.Array(t.Integer()),
      kind: t.Union([t.Literal("a"), t.Literal("b")]),
    });
    const error = new ValidationError("body", schema, { password: "hush", list: [1, "hush"], kind: "hush", "a/b~": 1 });
    const { status, code, problem } = await answer(error);
    expect([status, code]).toEqual([422, "invalid_input"]);
    expect(problem.errors?.map(({ path }) => path).toSorted()).toEqual(["/kind", "/list/1", "/password"]);
    expect(JSON.stringify(problem)).not.toContain("hush");
    const missing = await answer(new ValidationError("body", schema, {}));
    expect(missing.problem.errors?.map(({ path }) => path)).toEqual(["/password", "/list", "/kind"]);
  });

  test("many are cut", async () => {
    const error = new ValidationError("body", t.Array(t.Integer()), Array(1_000).fill("x"));
    expect((await answer(error)).problem.errors?.length).toBe(20);
  });

  test("of our own answers are failures of ours, logged without the answer", async () => {
    const { log, lines } = recordingLog();
    const error = new ValidationError("response", t.Object({ a: t.String() }), { a: 5, hush: "hush" });
    expect((await answer(error)).status).toBe(500);
    problemHandler({ log })({ error, request: new Request("http://localhost/a"), path: "/a", set: {} });
    expect(lines).toHaveLength(1);
    expect(JSON.stringify(lines)).not.toContain("hush");
  });
});

describe("the handler", () => {
  function serve() {
    const { log, lines } = recordingLog();
    const app = new Elysia({ normalize: false });
    app
      .onError(
        problemHandler({
          log,
          requestId: (request) => request.headers.get("x-request-id") ?? undefined,
          methodsAt: (path) => methodsOf(app)(path),
        }),
      )
      .get("/fixed/path", () => "ok")
      .post("/fixed/path", () => "ok")
      .delete("/with/:id", () => "ok")
      .get("/throws", () => {
        throw new Error("a secret reason", { cause: new Error("the cause") });
      })
      .get("/unavailable", () => {
        throw new Unavailable("storage_unavailable", "no disk", { cause: new Error("SQLITE_FULL") });
      })
      .get("/forbidden", () => {
        throw new Forbidden("forbidden", "no");
      });
    app.listen({ hostname: "127.0.0.1", port: 0, reusePort: false });
    return { app, lines, call: (path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${app.server?.port}${path}`, init) };
  }

  test("tells a wrong method from a wrong address", async () => {
    const { app, call } = serve();
    try {
      const wrong = await call("/fixed/path", { method: "PUT" });
      expect([wrong.status, wrong.headers.get("allow")]).toEqual([405, "GET, POST, HEAD"]);
      expect(await wrong.json()).toMatchObject({ code: "method_not_allowed", status: 405, title: "Method Not Allowed" });
      const parametric = await call("/with/7?x=1", { method: "POST" });
      expect([parametric.status, parametric.headers.get("allow")]).toEqual([405, "DELETE"]);
      const nowhere = await call("/nowhere");
      expect([nowhere.status, nowhere.headers.get("content-type")]).toEqual([404, "application/problem+json"]);
      expect(await nowhere.json()).toMatchObject({ code: "not_found" });
    } finally {
      await app.stop(true);
    }
  });

  test("logs failures with the request's id and path, never its query; other errors it does not log", async () => {
    const { app, call, lines } = serve();
    try {
      await call("/forbidden");
      expect(lines).toEqual([]);
      const failed = await call("/throws?ticket=hush", { headers: { "x-request-id": "r-1" } });
      expect(failed.status).toBe(500);
      expect(await failed.text()).not.toContain("secret");
      expect(lines[0]).toMatchObject({
        level: "error",
        fields: { request_id: "r-1", method: "GET", path: "/throws", status: 500 },
      });
      expect(lines[0]?.fields?.["error"]).toContain("a secret reason");
      expect(lines[0]?.fields?.["error"]).toContain("caused by Error: the cause");
      expect((await call("/unavailable")).status).toBe(503);
      expect(lines[1]).toMatchObject({ level: "warn", fields: { path: "/unavailable", status: 503 } });
      expect(JSON.stringify(lines)).not.toContain("hush");
    } finally {
      await app.stop(true);
    }
  });
});

test("a route's error answers are told in OpenAPI's form", () => {
  const responses = problemResponses(401, 422) as Record<string, { description: string; content: object }>;
  expect(Object.keys(responses)).toEqual(["401", "422"]);
  expect(Object.keys(responses["401"]?.content ?? {})).toEqual(["application/problem+json"]);
});
