import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { Place, type Served } from "../support/artel-process.ts";
import { type Answer, Client, call, type Problem } from "../support/e2e-client.ts";
import { TASKS } from "../support/e2e-tasks.ts";
import { View } from "../support/e2e-view.ts";
import { LIMIT_MS, within } from "../support/waiting.ts";

setDefaultTimeout(LIMIT_MS);

/** The one shape of all error answers. @returns the problem */
function expectProblem(answer: Answer, status: number, code: string): Problem {
  const problem = answer.body as Problem;
  expect([answer.status, problem.status, problem.code]).toEqual([status, status, code]);
  expect(answer.headers.get("content-type")).toStartWith("application/problem+json");
  expect(
    Object.keys(problem)
      .filter((key) => key !== "errors")
      .sort(),
  ).toEqual(["code", "detail", "status", "title", "type"]);
  for (const text of [problem.type, problem.title, problem.detail]) expect(text).toMatch(/./);
  for (const each of problem.errors ?? []) expect([typeof each.path, typeof each.message]).toEqual(["string", "string"]);
  expect(answer.headers.has("www-authenticate")).toBe(status === 401);
  return problem;
}

/** Sends bytes as they are and returns what comes back until the server closes, or has been given its say. */
async function raw(url: string, bytes: string | Uint8Array): Promise<string> {
  const { hostname, port } = new URL(url);
  const { promise, resolve } = Promise.withResolvers<string>();
  let got = "";
  const socket = await Bun.connect({
    hostname,
    port: Number(port),
    socket: {
      data(_, chunk) {
        got += chunk.toString("latin1");
        if (/\r\n\r\n/.test(got)) resolve(got);
      },
      close: () => resolve(got),
      error: () => resolve(got),
    },
  });
  socket.write(bytes);
  socket.flush();
  return await within(promise, "an answer or the end").finally(() => socket.terminate());
}

describe("errors over the wire", () => {
  let place: Place;
  let served: Served;
  let ada: Client;
  let bob: Client;
  beforeAll(async () => {
    place = await Place.make();
    place.write(TASKS);
    served = await place.serve(["--tasks", "tasks", "--threads", "1"]);
    [ada, bob] = [await Client.register(served.url, "ada"), await Client.register(served.url, "bob")];
  });
  afterAll(() => place[Symbol.asyncDispose]());

  const post = (path: string, body: unknown, headers: Record<string, string> = {}) => ada.call("POST", path, body, headers);

  test("malformed, mistyped, too large", async () => {
    expectProblem(await post("/tasks/quick", "{"), 400, "invalid_json");
    expectProblem(
      await post("/tasks/quick", "n=1", { "content-type": "application/x-www-form-urlencoded" }),
      415,
      "unsupported_media_type",
    );
    const large = JSON.stringify({ n: 1, pad: "x".repeat(1_100_000) });
    expectProblem(await post("/tasks/quick", large), 413, "body_too_large");
    const chunked = new Response(large).body as ReadableStream;
    const answer = await fetch(`${ada.url}/tasks/quick`, {
      method: "POST",
      body: chunked,
      headers: { authorization: `Bearer ${ada.token}` },
    });
    expect(answer.status).toBe(413);
    expectProblem(await ada.call("PUT", "/tasks/quick", {}), 405, "method_not_allowed");
  });

  test("inputs that do not fit, each with where", async () => {
    const problems: [unknown, string][] = [
      [{ n: "1" }, "/n"],
      [{ n: 1.5 }, "/n"],
      [{}, "/n"],
      [{ n: 1, more: true }, "/more"],
      [null, ""],
      [[], ""],
      ["", ""],
    ];
    for (const [input, path] of problems) {
      const problem = expectProblem(await post("/tasks/quick", input), 422, "invalid_input");
      expect(problem.errors?.map((each) => each.path)).toContain(path);
    }
    expect(expectProblem(await post("/tasks/quick/batch", [{ n: 1 }, { n: "2" }]), 422, "invalid_input").errors?.[0]?.path).toBe(
      "/1/n",
    );
    expectProblem(await post("/tasks/quick/batch", []), 422, "invalid_input");
    expectProblem(
      await post(
        "/tasks/quick/batch",
        Array.from({ length: 1_001 }, (_, n) => ({ n })),
      ),
      422,
      "invalid_input",
    );
    expectProblem(await post("/tasks/quick?delay=soon", { n: 1 }), 422, "invalid_delay");
    expectProblem(await post("/tasks/quick?priority=urgent", { n: 1 }), 422, "invalid_input");
    expectProblem(await post("/tasks/quick", { n: 1 }, { "idempotency-key": "x".repeat(300) }), 422, "invalid_idempotency_key");
    expectProblem(await ada.call("GET", "/tasks?limit=0"), 422, "invalid_input");
    expectProblem(await ada.call("GET", "/tasks?limit=201"), 422, "invalid_input");
    expectProblem(await ada.call("GET", "/tasks?cursor=none"), 422, "invalid_cursor");
    expect((await ada.tasks()).length).toBe(0);
  });

  test("who may not", async () => {
    const url = ada.url;
    for (const path of ["/auth/me", "/tasks", "/tasks/definitions", "/ws/notifications"])
      expect((await call("GET", url + path)).status).toBe(401);
    expectProblem(await call("GET", `${url}/auth/me`), 401, "unauthorized");
    for (const token of ["none", `${ada.token}x`, "a.b.c"])
      expectProblem(await call("GET", `${url}/auth/me`, { token }), 401, "invalid_token");
    const login = (body: unknown) => call("POST", `${url}/auth/login`, { body });
    expectProblem(await login({ email: ada.email, password: "wrong password" }), 401, "invalid_credentials");
    expectProblem(await login({ email: "nobody@example.com", password: "wrong password" }), 401, "invalid_credentials");
    expectProblem(await call("POST", `${url}/auth/refresh`, { body: { refresh_token: "none" } }), 401, "invalid_refresh_token");
    expectProblem(await ada.call("GET", `/tasks?owner=${bob.id}`), 403, "forbidden");
    const origin = { origin: "https://elsewhere.example" };
    expectProblem(await ada.call("GET", "/ws/notifications", undefined, origin), 403, "origin_not_allowed");
    expectProblem(await ada.call("GET", "/ws/notifications"), 426, "upgrade_required");
  });

  test("what is not there is not told apart from what is somebody else's", async () => {
    const theirs = await bob.submit("quick", { n: 1 }, "?delay=1h");
    const answers = [];
    for (const id of [theirs, "0190b0a0-0000-7000-8000-000000000000", "no-id", "%00", "..%2f..%2fetc%2fpasswd"]) {
      answers.push(expectProblem(await ada.call("GET", `/tasks/${id}`), 404, "task_not_found"));
      answers.push(expectProblem(await post(`/tasks/${id}/cancel`, undefined), 404, "task_not_found"));
    }
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
    expectProblem(await post("/tasks/unknown", {}), 404, "unknown_task");
    expectProblem(await ada.call("GET", "/nowhere"), 404, "not_found");
  });

  test("what does not go together", async () => {
    expectProblem(
      await call("POST", `${ada.url}/auth/register`, { body: { email: ada.email, password: "correct horse battery" } }),
      409,
      "email_taken",
    );
    const register = (email: string, password: string) => call("POST", `${ada.url}/auth/register`, { body: { email, password } });
    expectProblem(await register("no e-mail", "correct horse battery"), 422, "invalid_email");
    expectProblem(await register("eve@example.com", "password"), 422, "weak_password");
    const view = await View.open(ada);
    const id = await ada.submit("failing", { n: 1 });
    await view.ended([id]);
    expectProblem(await post(`/tasks/${id}/cancel`, undefined), 409, "task_ended");
    const waits = await ada.submit("quick", { n: 1 }, "?delay=1h");
    expectProblem(await post(`/tasks/${waits}/retry`, undefined), 409, "task_not_ended");
    const key = { "idempotency-key": "once" };
    const { body } = await post("/tasks/quick", { n: 1 }, key);
    expect((await post("/tasks/quick", { n: 1 }, key)).body).toMatchObject({ task_id: (body as { task_id: string }).task_id });
    expectProblem(await post("/tasks/quick", { n: 2 }, key), 409, "idempotency_conflict");
    view.close();
  });

  test("gross things leave the server standing", async () => {
    const deep = `${"[".repeat(200_000)}${"]".repeat(200_000)}`;
    expect([400, 422]).toContain((await post("/tasks/quick", `{"n":${deep}}`)).status);
    const wide = JSON.stringify(Object.fromEntries(Array.from({ length: 50_000 }, (_, n) => [`k${n}`, n])));
    const { errors = [] } = expectProblem(await post("/tasks/quick", wide), 422, "invalid_input");
    expect(errors.length).toBeLessThanOrEqual(20);
    expect([400, 422]).toContain((await post("/tasks/quick", '{"n":1,"__proto__":{"n":1}}')).status);
    expect((await ada.call("GET", `/tasks/${"x".repeat(6_000)}`)).status).toBe(404);

    const head = `Host: x\r\nAuthorization: Bearer ${ada.token}\r\n`;
    const gross: (string | Uint8Array)[] = [
      "nonsense\r\n\r\n",
      `GET / HTTP/9.9\r\n${head}\r\n`,
      `GET /${"x".repeat(200_000)} HTTP/1.1\r\n${head}\r\n`,
      `GET / HTTP/1.1\r\n${head}X-Long: ${"y".repeat(200_000)}\r\n\r\n`,
      `POST /tasks/quick HTTP/1.1\r\n${head}Content-Length: -1\r\n\r\n{}`,
      `POST /tasks/quick HTTP/1.1\r\n${head}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n`,
      Buffer.concat([
        Buffer.from(`POST /tasks/quick HTTP/1.1\r\n${head}Content-Length: 8\r\n\r\n`),
        Buffer.from([0xff, 0xfe, 0, 0x80, 0xc3, 0x28, 0xf0, 0x28]),
      ]),
      new Uint8Array(70_000).fill(0x16),
    ];
    for (const bytes of gross) expect(await raw(ada.url, bytes)).not.toMatch(/^HTTP\/1\.1 (2|500)/);
    expect((await fetch(`${ada.url}/health/ready`)).status).toBe(200);
    expect(served.process.log.filter(({ level }) => level === "error")).toEqual([]);
  });
});
