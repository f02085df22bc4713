import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Ended, lines, Place } from "../support/artel-process.ts";
import { Client, call } from "../support/e2e-client.ts";
import { broughtBack, KEYS, Terminal } from "../support/terminal.ts";
import { LIMIT_MS } from "../support/waiting.ts";

setDefaultTimeout(LIMIT_MS);

const PASSWORD = "correct horse battery";
const EMAIL = "ada@example.com";

let place: Place;
let url: string;
let client: Client;
beforeAll(async () => {
  place = await Place.make();
  ({ url } = await place.serve());
  client = await Client.register(url);
});
afterAll(() => place[Symbol.asyncDispose]());

/** With a home folder of its own, so that tests do not share a session. */
const at = (home: string, more: Readonly<Record<string, string>> = {}) => ({
  HOME: join(place.root, home),
  ARTEL_SERVER: url,
  ...more,
});
const sessions = (home: string): string => join(place.root, home, ".config", "artel", "sessions.json");

/** It failed, and one line says why. */
function expectFailure({ code, stdout, stderr }: Ended, said: string, expectedCode = 1): void {
  expect({ code, stdout, lines: lines(stderr).length }).toEqual({ code: expectedCode, stdout: "", lines: 1 });
  expect(stderr).toContain(said);
}

describe("login", () => {
  test.concurrent("takes the password from a pipe and keeps a session until logout", async () => {
    const env = at("ada");
    const login = await place.run(["login", EMAIL], env, `${PASSWORD}\r\nanother line\n`);
    expect(login).toMatchObject({ code: 0, stdout: `logged in at ${url} as ${EMAIL}\n`, stderr: "" });
    expect(statSync(sessions("ada")).mode & 0o777).toBe(0o600);
    // A slash behind the address is the same server.
    expect(await place.run(["task", "list", "--server", `${url}/`], env)).toMatchObject({ code: 0, stdout: "", stderr: "" });
    expect(await place.run(["logout"], env)).toMatchObject({ code: 0, stdout: `logged out at ${url}\n` });
    expect(await place.run(["logout"], env)).toMatchObject({ code: 0, stdout: `nobody was logged in at ${url}\n` });
    expectFailure(await place.run(["task", "list"], env), "artel login");
  });

  test.concurrent("asks for the password in a terminal, where it does not show", async () => {
    const options = { cwd: place.folder, env: at("terminal") };
    await using terminal = new Terminal([place.program, "login", EMAIL], options);
    await terminal.asks(/^Password:/);
    terminal.type(`${PASSWORD}${KEYS.enter}`);
    await terminal.shows(/^logged in/);
    expect(await terminal.exited).toBe(0);
    expect(terminal.written).not.toContain("horse");
    expect(terminal.echoes).toBe(true);
  });

  test.concurrent("is given up by Ctrl-C, and leaves the terminal as it was", async () => {
    const options = { cwd: place.folder, env: at("given-up") };
    await using terminal = new Terminal([place.program, "login", EMAIL], options);
    await terminal.asks(/^Password:/);
    terminal.type(`corr${KEYS.ctrlC}`);
    await terminal.shows(/given up/);
    expect(await terminal.exited).toBe(1);
    expect(terminal.echoes).toBe(true);
  });

  test.concurrent("asks on after Ctrl-Z and fg", async () => {
    const options = { cwd: place.folder, env: at("stopped") };
    await using terminal = new Terminal(broughtBack([place.program, "login", EMAIL]), options);
    await terminal.asks(/^Password:$/);
    terminal.type(KEYS.ctrlZ);
    await terminal.until((all) => all.length > 1 && all.at(-1) === "Password:", "the question again");
    terminal.type(`${PASSWORD}${KEYS.enter}`);
    await terminal.shows(/^logged in/);
    expect(await terminal.exited).toBe(0);
    expect(terminal.written).not.toContain("horse");
    expect(terminal.echoes).toBe(true);
  });

  test.concurrent("that fails says why in one line", async () => {
    const env = at("nobody");
    expectFailure(await place.run(["login", EMAIL], env, "wrong password\n"), "the e-mail or the password is wrong");
    expectFailure(await place.run(["login", EMAIL], env), "no password came");
    expectFailure(await place.run(["login"], env), "artel login EMAIL", 2);
    expectFailure(await place.run(["login", EMAIL, "more"], env), '"more"', 2);
    expectFailure(await place.run(["login", EMAIL, "--server", "http://127.0.0.1:1"], env, `${PASSWORD}\n`), "refused");
    const homeless = { HOME: "", ARTEL_SERVER: url };
    expectFailure(await place.run(["login", EMAIL], homeless, `${PASSWORD}\n`), "HOME");
  });
});

describe("the kept session", () => {
  test.concurrent("is renewed by one of many commands at the same time, and goes on", async () => {
    const env = at("many");
    await place.run(["login", EMAIL], env, PASSWORD);
    for (let round = 0; round < 2; round += 1) {
      const kept = JSON.parse(readFileSync(sessions("many"), "utf8")) as Record<string, object>;
      writeFileSync(sessions("many"), JSON.stringify({ [url]: { ...kept[url], expires_at: Date.now() } }));
      const ended = await Promise.all(Array.from({ length: 5 }, () => place.run(["task", "list"], env)));
      expect(ended.map(({ code, stderr }) => [code, stderr])).toEqual(Array(5).fill([0, ""]));
    }
  });

  test.concurrent("that is ended elsewhere ends a watch, which says so", async () => {
    const env = at("elsewhere");
    await place.run(["login", EMAIL], env, PASSWORD);
    const watching = place.start(["run", "parse", "--url", "https://example.com/", "--delay", "1h", "--watch"], env);
    await watching.until(() => (watching.stdout.includes("scheduled") ? true : undefined), "the task");
    const kept = JSON.parse(readFileSync(sessions("elsewhere"), "utf8")) as Record<string, { access_token: string }>;
    const answer = await call("POST", `${url}/auth/logout`, { token: kept[url]?.access_token ?? "" });
    expect(answer.status).toBe(204);
    const { code, stderr } = await watching.ended;
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: `artel: the session has ended at ${url}: artel login EMAIL, or set ARTEL_TOKEN\n`,
    });
  });

  test.concurrent("in a damaged file: one line names the file", async () => {
    const env = at("damaged");
    await place.run(["login", EMAIL], env, PASSWORD);
    writeFileSync(sessions("damaged"), '{"http');
    expectFailure(await place.run(["task", "list"], env), `${sessions("damaged")} is damaged`);
  });

  test.concurrent("gives way to ARTEL_TOKEN", async () => {
    const env = at("nobody");
    expect(await place.run(["task", "list"], { ...env, ARTEL_TOKEN: `${client.token}\n` })).toMatchObject({ code: 0 });
    expectFailure(await place.run(["task", "list"], { ...env, ARTEL_TOKEN: "bogus" }), "ARTEL_TOKEN");
  });
});

describe("the server's address", () => {
  test.concurrent("by its variable is checked like the flag", async () => {
    expectFailure(await place.run(["task", "list"], at("nobody", { ARTEL_SERVER: "localhost:12000" })), "ARTEL_SERVER", 2);
    expectFailure(await place.run(["logout", "--server", "http://127.0.0.1/path"], at("nobody")), "--server", 2);
  });

  test.concurrent("of something else: one line asks whether it is right", async () => {
    const other = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("<html>", { status: 404 }) });
    try {
      const env = at("nobody", { ARTEL_SERVER: `http://127.0.0.1:${other.port}`, ARTEL_TOKEN: "t" });
      expectFailure(await place.run(["task", "list"], env), "is --server right?");
    } finally {
      await other.stop(true);
    }
  });
});
