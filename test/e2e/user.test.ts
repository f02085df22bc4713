import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, statSync } from "node:fs";
import { type Ended, lines, Place } from "../support/artel-process.ts";
import { Client, call } from "../support/e2e-client.ts";
import { Terminal } from "../support/terminal.ts";
import { eventually, LIMIT_MS } from "../support/waiting.ts";

setDefaultTimeout(LIMIT_MS);

const PASSWORD = "correct horse battery";
/** A server heeds a command within a second; this is how long a busy machine may take over it. */
const HEEDED_MS = 5_000;

function expectFailed({ code, stdout, stderr }: Ended, expected: number, named: string): void {
  expect({ code, stdout, lines: lines(stderr).length }).toEqual({ code: expected, stdout: "", lines: 1 });
  expect(stderr).toContain(named);
}

const login = (url: string, email: string, password: string) =>
  call("POST", `${url}/auth/login`, { body: { email, password } }).then(({ status }) => status);
const me = (url: string, token: string) => call("GET", `${url}/auth/me`, { token });

/** Waits until a request is answered so. */
async function answered(status: number, ask: () => Promise<{ status: number }>): Promise<void> {
  await eventually(async () => ((await ask()).status === status ? true : undefined), `the status ${status}`, HEEDED_MS);
}

describe("beside a live server", () => {
  let place: Place;
  let url: string;
  beforeAll(async () => {
    place = await Place.make();
    ({ url } = await place.serve(["--threads", "0"]));
  });
  afterAll(() => place[Symbol.asyncDispose]());

  const user = (args: readonly string[], stdin = "") => place.run(["user", ...args], {}, stdin);

  test.concurrent("an account is made, an admin too, and can log in at once", async () => {
    expect(await user(["create", "Ada@Example.com"], `${PASSWORD}\r\nnot this\n`)).toMatchObject({
      code: 0,
      stdout: "made the account ada@example.com\n",
      stderr: "",
    });
    expect((await user(["create", "root@example.com", "--admin"], PASSWORD)).stdout).toContain("an admin");
    expect(await login(url, "ada@example.com", PASSWORD)).toBe(200);
    const answer = await call("POST", `${url}/auth/login`, { body: { email: "root@example.com", password: PASSWORD } });
    const { access_token: token } = answer.body as { access_token: string };
    expect((await me(url, token)).body).toMatchObject({ role: "admin" });
    expectFailed(await user(["create", "ada@example.com"], PASSWORD), 1, "with this e-mail already");
  });

  test.concurrent("a promotion is heeded by sessions that are open", async () => {
    const bob = await Client.register(url, "bob");
    expect((await bob.call("GET", "/workers")).status).toBe(403);
    expect(await user(["promote", bob.email])).toMatchObject({ code: 0, stdout: "bob@example.com is an admin\n" });
    await answered(200, () => bob.call("GET", "/workers"));
    expect((await user(["promote", bob.email])).code).toBe(0);
  });

  test.concurrent("a new password ends sessions, tokens and sockets", async () => {
    const carl = await Client.register(url, "carl");
    const token = (await user(["token", carl.email])).stdout.trim();
    const socket = new WebSocket(`${url.replace("http", "ws")}/ws/notifications`, {
      headers: { authorization: `Bearer ${token}` },
    } as unknown as string[]);
    await new Promise((resolve) => socket.addEventListener("message", resolve, { once: true }));
    const closed = new Promise<number>((resolve) => socket.addEventListener("close", ({ code }) => resolve(code)));
    expect((await user(["password", carl.email], "another horse battery\n")).code).toBe(0);
    expect(await closed).toBe(4401);
    for (const each of [carl.token, token]) await answered(401, () => me(url, each));
    expect(await login(url, carl.email, PASSWORD)).toBe(401);
    expect(await login(url, carl.email, "another horse battery")).toBe(200);
    expectFailed(await user(["password", carl.email], "short"), 1, "at least 8 characters");
    expectFailed(await user(["password", carl.email]), 1, "no password");
    expectFailed(await user(["password", carl.email], `${"x".repeat(100_000)}\n`), 1, "at most 1024 characters");
    expect(await login(url, carl.email, "another horse battery")).toBe(200);
  });

  test.concurrent("a token stands alone on stdout, lives as long as it is to, and can be ended", async () => {
    const dora = await Client.register(url, "dora");
    const { stdout, stderr } = await user(["token", dora.email]);
    expect([stdout, stderr]).toEqual([expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+\n$/), ""]);
    const token = stdout.trim();
    const { exp } = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()) as { exp: number };
    expect(Math.abs(exp - Date.now() / 1_000 - 90 * 86_400)).toBeLessThan(60);
    expect((await me(url, token)).body).toMatchObject({ email: dora.email });

    const other = (await user(["token", dora.email, "--expires", "1s"])).stdout.trim();
    await answered(401, () => me(url, other));
    expectFailed(await user(["token", dora.email, "--expires", "1ms"]), 1, "at least a second");

    // One token by itself, then all there are.
    const third = (await user(["token", dora.email])).stdout.trim();
    expect((await call("POST", `${url}/auth/logout`, { token: third })).status).toBe(204);
    expect([(await me(url, third)).status, (await me(url, token)).status]).toEqual([401, 200]);
    // The session of the short one may last up to a second longer than its token.
    expect((await user(["revoke", dora.email])).stdout).toMatch(/^sessions and tokens of dora@example.com ended: [23]\n$/);
    for (const each of [token, dora.token]) await answered(401, () => me(url, each));
    expect((await user(["revoke", dora.email])).stdout).toEndWith("ended: 0\n");
  });

  test.concurrent.each(["promote", "password", "token", "revoke"])("%s of nobody", async (action) => {
    expectFailed(await user([action, "nobody@example.com"], PASSWORD), 1, "no account with the e-mail nobody@example.com");
    expectFailed(await user([action, "no address"], PASSWORD), 1, "name@domain");
  });

  test.concurrent.each([
    [[], "create, promote, password, token, revoke"],
    [["toString", "ada@example.com"], "create, promote"],
    [["create"], "e-mail"],
    [["create", "ada@example.com", PASSWORD], `"${PASSWORD}"`],
    [["promote", "ada@example.com", "--admin"], "--admin"],
    [["create", "ada@example.com", "--expires", "1d"], "--expires"],
    [["token", "ada@example.com", "--expires", "soon"], "--expires"],
  ])("%j is a wrong call", async (args, named) => {
    expectFailed(await user(args, PASSWORD), 2, named);
  });

  test.concurrent("at a terminal a password is asked for twice, and does not show", async () => {
    const ask = () => new Terminal([place.program, "user", "create", "terry@example.com"], { cwd: place.folder });
    {
      await using typed = ask();
      await typed.asks(/^New password:$/);
      typed.type(`${PASSWORD}\r`);
      await typed.asks(/^The same again:$/);
      typed.type("something else\r");
      expect(await typed.exited).toBe(1);
      await typed.shows(/the two passwords are not the same/);
      expect(typed.written).not.toContain("horse");
    }
    {
      await using typed = ask();
      await typed.asks(/^New password:$/);
      typed.type("\x03");
      expect(await typed.exited).toBe(1);
    }
    {
      await using typed = ask();
      await typed.asks(/^New password:$/);
      typed.type(`${PASSWORD}\r`);
      await typed.asks(/^The same again:$/);
      typed.type(`${PASSWORD}\r`);
      expect(await typed.exited).toBe(0);
      expect(typed.written).not.toContain("horse");
    }
    expect(await login(url, "terry@example.com", PASSWORD)).toBe(200);
  });
});

describe("without a server", () => {
  test.concurrent("an admin can be made before the first start", async () => {
    await using place = await Place.make();
    for (const action of ["promote", "password", "token", "revoke"])
      expectFailed(await place.run(["user", action, "ada@example.com"], {}, PASSWORD), 1, "artel user create makes one");
    expect(existsSync(place.path("data"))).toBe(false);
    expect((await place.run(["user", "create", "ada@example.com", "--admin"], {}, PASSWORD)).code).toBe(0);
    expect(statSync(place.path("data")).mode & 0o777).toBe(0o700);
    const token = (await place.run(["user", "token", "ada@example.com"])).stdout.trim();
    const { url } = await place.serve(["--threads", "0"]);
    expect((await me(url, token)).body).toMatchObject({ email: "ada@example.com", role: "admin" });
  });

  test.concurrent("a database that lacks migrations, or has others, is left alone", async () => {
    await using place = await Place.make();
    await place.run(["user", "create", "ada@example.com"], {}, PASSWORD);
    await place.run(["migrate", "down"]);
    expectFailed(await place.run(["user", "create", "bob@example.com"], {}, PASSWORD), 1, "artel migrate up");
    await place.run(["migrate", "up"]);
    place.write({ "damaged/artel.db": "this is no database\n".repeat(1_000) });
    expectFailed(await place.run(["user", "promote", "a@example.com", "--data", "damaged"]), 1, "no database");
  });

  test.concurrent("no token is signed by another secret than the server's", async () => {
    await using place = await Place.make();
    const env = { ARTEL_SECRET: "of the environment alone" };
    const { url } = await place.serve(["--threads", "0"], env);
    const ada = await Client.register(url);
    expectFailed(await place.run(["user", "token", ada.email]), 1, "ARTEL_SECRET");
    expectFailed(await place.run(["user", "token", ada.email], { ARTEL_SECRET: "short" }), 1, "ARTEL_SECRET");
    expect(existsSync(place.path("data/secret"))).toBe(false);
    const token = (await place.run(["user", "token", ada.email], env)).stdout.trim();
    expect((await me(url, token)).status).toBe(200);
  });
});
