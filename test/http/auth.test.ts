import { afterEach, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { Value } from "@sinclair/typebox/value";
import { Elysia } from "elysia";
import { authRoutes } from "../../src/http/auth.ts";
import { BODY_MAX_BYTES } from "../../src/http/body.ts";
import { clientAddress } from "../../src/http/client-address.ts";
import { methodsOf, type Problem, ProblemSchema, problemHandler } from "../../src/http/problem.ts";
import { accountsFixture, PASSWORD } from "../support/accounts.ts";
import { type LogLine, recordingLog } from "../support/manual-runtime.ts";

const EMAIL = "ada@example.com";
const MINUTE_MS = 60_000;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

const running: { stop(): Promise<unknown> }[] = [];
const logged: LogLine[] = [];
afterEach(async () => {
  for (const server of running.splice(0)) await server.stop();
  // Nothing in these tests is the server's fault but what is asked for.
  expect(logged.splice(0).filter(({ level }) => level === "error")).toEqual([]);
});

async function serve(options: Parameters<typeof accountsFixture>[0] & { trusted?: string[] } = {}) {
  const fixture = await accountsFixture(options);
  const { log, lines } = recordingLog();
  const app = new Elysia({ normalize: false });
  app
    .onError(problemHandler({ log, methodsAt: (path) => methodsOf(app)(path) }))
    .use(authRoutes({ accounts: fixture.accounts, clientAddress: clientAddress(options.trusted) }))
    .listen({ hostname: "127.0.0.1", port: 0, reusePort: false });
  running.push({
    stop: () => {
      logged.push(...lines);
      return app.stop(true);
    },
  });
  const port = app.server?.port ?? 0;
  const call = (path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${port}/auth${path}`, init);
  const post = (path: string, body?: unknown, headers: Record<string, string> = {}) =>
    call(path, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  return { ...fixture, port, call, post };
}

interface Tokens {
  access_token: string;
  token_type: string;
  expires_in: number;
  refresh_token: string;
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

async function loggedIn(options: Parameters<typeof serve>[0] = {}) {
  const served = await serve(options);
  const registration = await served.post("/register", { email: EMAIL, password: PASSWORD });
  expect(registration.status).toBe(201);
  const account = (await registration.json()) as { id: string };
  const login = async () => (await (await served.post("/login", { email: EMAIL, password: PASSWORD })).json()) as Tokens;
  return { ...served, account, login, tokens: await login() };
}

/** Checks the form of an error answer and gives what tells it apart. */
async function problem(response: Response): Promise<{ status: number; code: string; paths: string[]; body: Problem }> {
  const body = (await response.json()) as Problem;
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  expect(Value.Check(ProblemSchema, body)).toBe(true);
  expect(body.status).toBe(response.status);
  if (response.status === 401) expect(response.headers.get("www-authenticate")).toStartWith("Bearer");
  if (response.status === 429) expect(Number(response.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
  return { status: response.status, code: body.code, paths: (body.errors ?? []).map(({ path }) => path), body };
}

describe("the contract's rows", () => {
  test("register", async () => {
    const { post } = await serve();
    const response = await post("/register", { email: "Ada@Example.com", password: PASSWORD });
    expect(response.status).toBe(201);
    expect(response.headers.get("content-type")).toStartWith("application/json");
    expect(response.headers.get("cache-control")).toBe("no-store");
    expect(await response.json()).toEqual({
      id: expect.stringMatching(UUID),
      email: EMAIL,
      role: "user",
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    });
    expect(await problem(await post("/register", { email: EMAIL, password: PASSWORD }))).toMatchObject({
      status: 409,
      code: "email_taken",
    });
    expect(await problem(await post("/register", { email: "ada", password: PASSWORD }))).toMatchObject({
      status: 422,
      code: "invalid_email",
      paths: ["/email"],
    });
    expect(await problem(await post("/register", { email: "bob@example.com", password: "short" }))).toMatchObject({
      status: 422,
      code: "weak_password",
      paths: ["/password"],
    });
  });

  test("login and me", async () => {
    const { post, call, account, tokens } = await loggedIn();
    expect(tokens).toEqual({
      access_token: expect.any(String),
      token_type: "bearer",
      expires_in: 900,
      refresh_token: expect.any(String),
    });
    const me = await call("/me", { headers: bearer(tokens.access_token) });
    expect(me.status).toBe(200);
    expect(await me.json()).toEqual(account);
    const wrong = [
      await post("/login", { email: EMAIL, password: "wrong" }),
      await post("/login", { email: "bob@example.com", password: PASSWORD }),
    ];
    const answers = [];
    for (const response of wrong) answers.push((await problem(response)).body);
    expect(answers[0]).toMatchObject({ status: 401, code: "invalid_credentials" });
    expect(answers[1]).toEqual(answers[0] as Problem);
  });

  test("refresh: the old one is spent, its reuse ends the session", async () => {
    const { post, call, tokens } = await loggedIn();
    const refreshed = await post("/refresh", { refresh_token: tokens.refresh_token });
    expect(refreshed.status).toBe(200);
    const next = (await refreshed.json()) as Tokens;
    expect(Object.keys(next).toSorted()).toEqual(Object.keys(tokens).toSorted());
    expect((await call("/me", { headers: bearer(next.access_token) })).status).toBe(200);
    expect(await problem(await post("/refresh", { refresh_token: tokens.refresh_token }))).toMatchObject({
      status: 401,
      code: "invalid_refresh_token",
    });
    expect(await problem(await call("/me", { headers: bearer(next.access_token) }))).toMatchObject({
      status: 401,
      code: "invalid_token",
    });
    expect(await problem(await post("/refresh", { refresh_token: next.refresh_token }))).toMatchObject({ status: 401 });
  });

  test("logout ends the session and leaves others", async () => {
    const { post, call, login, tokens } = await loggedIn();
    const other = await login();
    const response = await post("/logout", undefined, bearer(tokens.access_token));
    expect([response.status, await response.text()]).toEqual([204, ""]);
    expect((await call("/me", { headers: bearer(tokens.access_token) })).status).toBe(401);
    expect((await post("/refresh", { refresh_token: tokens.refresh_token })).status).toBe(401);
    expect((await call("/me", { headers: bearer(other.access_token) })).status).toBe(200);
  });

  test("password: other sessions end, this one stays", async () => {
    const { post, call, login, tokens } = await loggedIn();
    const other = await login();
    const change = (body: object) => post("/password", body, bearer(tokens.access_token));
    const next = "another horse battery";
    expect(await problem(await change({ current_password: "wrong", new_password: next }))).toMatchObject({
      status: 403,
      code: "wrong_password",
    });
    expect(await problem(await change({ current_password: PASSWORD, new_password: "short" }))).toMatchObject({
      status: 422,
      code: "weak_password",
      paths: ["/new_password"],
    });
    const changed = await change({ current_password: PASSWORD, new_password: next });
    expect([changed.status, await changed.text()]).toEqual([204, ""]);
    expect((await call("/me", { headers: bearer(tokens.access_token) })).status).toBe(200);
    expect((await call("/me", { headers: bearer(other.access_token) })).status).toBe(401);
    expect((await post("/login", { email: EMAIL, password: PASSWORD })).status).toBe(401);
    expect((await post("/login", { email: EMAIL, password: next })).status).toBe(200);
  });

  test("ws-ticket", async () => {
    const { post, accounts, account, tokens } = await loggedIn();
    const response = await post("/ws-ticket", undefined, bearer(tokens.access_token));
    expect(response.status).toBe(201);
    const body = (await response.json()) as { ticket: string; expires_in: number };
    expect(body).toEqual({ ticket: expect.any(String), expires_in: 30 });
    expect(accounts.redeemTicket(body.ticket).accountId).toBe(account.id);
  });
});

describe("tokens", () => {
  const protectedCalls = [
    ["GET", "/me"],
    ["POST", "/logout"],
    ["POST", "/password"],
    ["POST", "/ws-ticket"],
  ] as const;

  test.each(protectedCalls)("%s %s wants one", async (method, path) => {
    const { call } = await serve();
    for (const authorization of [undefined, "", "Bearer", "Bearer ", "Basic YTpi", "token", "Bearer a b"]) {
      const response = await call(path, { method, ...(authorization === undefined ? {} : { headers: { authorization } }) });
      expect(await problem(response)).toMatchObject({ status: 401, code: "unauthorized" });
    }
    expect(await problem(await call(path, { method, headers: bearer("made.up.token") }))).toMatchObject({
      status: 401,
      code: "invalid_token",
    });
  });

  test("the scheme's case does not count", async () => {
    const { call, tokens } = await loggedIn();
    expect((await call("/me", { headers: { authorization: `bearer ${tokens.access_token}` } })).status).toBe(200);
  });

  test("without a good one nothing is said about the body, whatever it is", async () => {
    const { call } = await serve();
    for (const body of ["{", "{}", "x".repeat(BODY_MAX_BYTES + 1)]) {
      expect((await call("/password", { method: "POST", body })).status).toBe(401);
    }
  });
});

describe("bodies", () => {
  const good = { email: "bob@example.com", password: PASSWORD };

  test.each([
    ["a field too many", { ...good, role: "admin" }, ["/role"]],
    ["a field with a strange name", { ...good, "a/b~c": 1 }, ["/a~1b~0c"]],
    ["a field missing", { email: good.email }, ["/password"]],
    ["both missing", {}, ["/email", "/password"]],
    ["a wrong type", { ...good, password: 12_345_678 }, ["/password"]],
    ["null", { ...good, email: null }, ["/email"]],
    ["a list", [good], [""]],
    ["a text", "x", [""]],
    ["nothing at all", undefined, [""]],
  ])("%s is 422", async (_, body, paths) => {
    const { post } = await serve();
    const got = await problem(await post("/register", body));
    expect(got).toMatchObject({ status: 422, code: "invalid_input" });
    expect(got.paths).toEqual(paths);
    expect(JSON.stringify(got.body)).not.toContain(PASSWORD);
  });

  test("an own __proto__ is a field too many as well", async () => {
    const { call } = await serve();
    const body = `{"email":"bob@example.com","password":"${PASSWORD}","__proto__":{"role":"admin"}}`;
    expect(await problem(await call("/register", { method: "POST", body }))).toMatchObject({
      status: 422,
      paths: ["/__proto__"],
    });
  });

  test.each([
    ["/login", { email: EMAIL, password: PASSWORD, extra: 1 }],
    ["/refresh", { refresh_token: 7 }],
    ["/refresh", {}],
  ])("%s is as strict", async (path, body) => {
    const { post } = await serve();
    expect(await problem(await post(path, body))).toMatchObject({ status: 422, code: "invalid_input" });
  });

  test("of a password change are as strict", async () => {
    const { post, tokens } = await loggedIn();
    const got = await problem(await post("/password", { current_password: 1, x: 1 }, bearer(tokens.access_token)));
    expect(got).toMatchObject({ status: 422, code: "invalid_input" });
    expect(got.paths.toSorted()).toEqual(["/current_password", "/new_password", "/x"]);
  });

  test.each(["{", "{'a':1}", "undefined", `{"email":"x"}}`])("%j is 400", async (body) => {
    const { call } = await serve();
    const got = await problem(await call("/login", { method: "POST", headers: { "content-type": "application/json" }, body }));
    expect(got).toMatchObject({ status: 400, code: "invalid_json" });
  });

  test.each(["application/json; charset=utf-8", "APPLICATION/JSON", "application/vnd.api+json"])(
    "%s is taken for JSON",
    async (type) => {
      const { post } = await serve();
      expect((await post("/register", good, { "content-type": type })).status).toBe(201);
    },
  );

  test.each(["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonp", "x"])(
    "%s is 415",
    async (type) => {
      const { post } = await serve();
      expect(await problem(await post("/register", good, { "content-type": type }))).toMatchObject({
        status: 415,
        code: "unsupported_media_type",
      });
    },
  );

  test("without a content type are taken for JSON, also in chunks", async () => {
    const { port } = await serve();
    const body = JSON.stringify(good);
    const chunks = [body.slice(0, 9), body.slice(9)].map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`);
    expect(await raw(port, `Transfer-Encoding: chunked\r\n\r\n${chunks.join("")}0\r\n\r\n`)).toStartWith("HTTP/1.1 201");
    expect(await raw(port, `Content-Length: ${body.length}\r\n\r\n${body}`)).toStartWith("HTTP/1.1 409");
  });

  test("over 1 MiB are 413, with a length or in chunks; of exactly 1 MiB are read", async () => {
    const { call } = await serve();
    const send = (body: NonNullable<RequestInit["body"]>) =>
      call("/login", { method: "POST", body, headers: { "content-type": "application/json" } });
    expect(await problem(await send("x".repeat(BODY_MAX_BYTES + 1)))).toMatchObject({ status: 413, code: "body_too_large" });
    const endless = new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(65_536)) });
    expect(await problem(await send(endless))).toMatchObject({ status: 413, code: "body_too_large" });
    expect(await problem(await send(`"${"x".repeat(BODY_MAX_BYTES - 2)}"`))).toMatchObject({ status: 422 });
  });
});

describe("limits", () => {
  test("failed logins, by account and address", async () => {
    const { post } = await loggedIn({ limits: { loginPair: { times: 2, windowMs: MINUTE_MS } } });
    const attempt = async (password: string) => problem(await post("/login", { email: EMAIL, password }));
    expect([(await attempt("wrong")).status, (await attempt("wrong")).status]).toEqual([401, 401]);
    expect(await attempt(PASSWORD)).toMatchObject({ status: 429, code: "rate_limited" });
  });

  test("registrations and refreshes, by the address that a trusted proxy tells", async () => {
    const once = { times: 1, windowMs: MINUTE_MS };
    const { post } = await serve({ limits: { registration: once, refresh: once }, trusted: ["127.0.0.1/32"] });
    const register = (email: string, address: string) =>
      post("/register", { email, password: PASSWORD }, { "x-forwarded-for": address });
    expect((await register("a@example.com", "203.0.113.1")).status).toBe(201);
    expect(await problem(await register("b@example.com", "203.0.113.1"))).toMatchObject({ status: 429, code: "rate_limited" });
    expect((await register("b@example.com", "203.0.113.2")).status).toBe(201);
    const refresh = () => post("/refresh", { refresh_token: "x" });
    expect((await refresh()).status).toBe(401);
    expect(await problem(await refresh())).toMatchObject({ status: 429 });
  });

  test("of untrusted peers' headers nothing is believed", async () => {
    const { post } = await serve({ limits: { registration: { times: 1, windowMs: MINUTE_MS } } });
    const register = (email: string, address: string) =>
      post("/register", { email, password: PASSWORD }, { "x-forwarded-for": address });
    expect((await register("a@example.com", "203.0.113.1")).status).toBe(201);
    expect((await register("b@example.com", "203.0.113.2")).status).toBe(429);
  });
});

describe("everything else", () => {
  test("wrong methods are 405, wrong addresses 404", async () => {
    const { call } = await serve();
    const wrong = await call("/login");
    expect([wrong.status, wrong.headers.get("allow")]).toEqual([405, "POST"]);
    expect(await problem(await call("/nothing"))).toMatchObject({ status: 404, code: "not_found" });
  });

  test("no disk is 503", async () => {
    const { post, database } = await serve();
    database.db.run("PRAGMA query_only = ON");
    expect(await problem(await post("/register", { email: EMAIL, password: PASSWORD }))).toMatchObject({
      status: 503,
      code: "storage_unavailable",
    });
  });

  test("every route tells its answers and errors to the OpenAPI document", async () => {
    const { accounts } = await accountsFixture();
    const { routes } = authRoutes({ accounts, clientAddress: clientAddress() });
    expect(routes.map(({ method, path }) => `${method} ${path}`).toSorted()).toEqual([
      "GET /auth/me",
      "POST /auth/login",
      "POST /auth/logout",
      "POST /auth/password",
      "POST /auth/refresh",
      "POST /auth/register",
      "POST /auth/ws-ticket",
    ]);
    for (const { hooks } of routes) {
      expect(hooks.detail).toMatchObject({ summary: expect.any(String), tags: ["accounts"], security: expect.any(Array) });
      expect(Object.keys(hooks.detail?.responses ?? {}).some((status) => status.startsWith("2"))).toBe(true);
    }
  });
});

/** A registration by hand, for what fetch does not send. @returns the whole answer */
function raw(port: number, headersAndBody: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = "";
    const socket = connect(port, "127.0.0.1", () => {
      socket.write(`POST /auth/register HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${headersAndBody}`);
    });
    socket.setEncoding("utf8");
    socket.on("data", (text: string) => {
      answer += text;
    });
    socket.on("close", () => resolve(answer));
    socket.on("error", reject);
  });
}
