import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Api, login } from "../../src/cli/client/api.ts";
import { Unreachable } from "../../src/cli/client/http.ts";
import { configFolder, GivenToken, KeptSession, NoSession } from "../../src/cli/client/session.ts";
import { PASSWORD } from "../support/accounts.ts";
import { suiteServer } from "../support/server.ts";

const { server } = await suiteServer({ redis: undefined });

let root: string;
let folder: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "artel-session-"));
  folder = join(root, "artel");
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const file = (): string => join(folder, "sessions.json");
type Book = Record<string, { access_token: string; refresh_token: string; expires_at: number }>;
const book = (): Book => JSON.parse(readFileSync(file(), "utf8")) as Book;
const session = (url = server.url): KeptSession => new KeptSession(folder, url);
const refusal = async (promise: Promise<unknown>): Promise<NoSession> => {
  const error = await promise.catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(NoSession);
  return error as NoSession;
};

/** A kept session of a new account. */
async function opened(): Promise<KeptSession> {
  const { email } = await server.user();
  const kept = session();
  await kept.open(email, await login(server.url, email, PASSWORD));
  return kept;
}

/** As if the access token were about to end. */
function age(): void {
  const aged = Object.entries(book()).map(([url, kept]) => [url, { ...kept, expires_at: Date.now() + 1_000 }]);
  writeFileSync(file(), JSON.stringify(Object.fromEntries(aged)));
}

describe("a kept session", () => {
  test("is for its user's eyes alone, and serves every command", async () => {
    const kept = await opened();
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(folder)) expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);
    expect((await new Api(server.url, session()).me()).email).toBe(kept.email as string);
  });

  test("is renewed once, however many want it at the same time, and lives on", async () => {
    await opened();
    const before = book()[server.url];
    age();
    const tokens = await Promise.all(Array.from({ length: 8 }, () => session().token()));
    expect(new Set(tokens).size).toBe(1);
    expect(tokens[0]).not.toBe(before?.access_token);
    expect(book()[server.url]?.refresh_token).not.toBe(before?.refresh_token);
    age();
    expect((await new Api(server.url, session()).me()).role).toBe("user");
    expect(readdirSync(folder).sort()).toEqual(["sessions.json", "sessions.json.lock"]);
  });

  test("is renewed when the server does not take its token, whatever the clock says", async () => {
    const kept = await opened();
    const token = await kept.token();
    expect(await kept.token()).toBe(token);
    expect(await kept.token(token)).not.toBe(token);
  });

  test("that has ended is said to have, and forgotten; those at other servers stay", async () => {
    const kept = await opened();
    const { email } = await server.user();
    await session("http://other.example").open(email, await login(server.url, email, PASSWORD));
    await server.setPassword(kept.email as string, `${PASSWORD} of today`);
    const error = await refusal(new Api(server.url, kept).me());
    expect(error.message).toBe(`the session has ended at ${server.url}: artel login EMAIL, or set ARTEL_TOKEN`);
    expect(Object.keys(book())).toEqual(["http://other.example"]);
    expect((await refusal(kept.token())).message).toContain("nobody is logged in");
  });

  test("ends here and at the server", async () => {
    const kept = await opened();
    const token = await kept.token();
    expect(await kept.end()).toBe(true);
    expect(await kept.end()).toBe(false);
    expect((await server.fetch("/auth/me", { headers: { authorization: `Bearer ${token}` } })).status).toBe(401);
  });

  test("ends at the server first: while that does not answer, it can be tried again", async () => {
    const { email } = await server.user();
    const away = session("http://127.0.0.1:1");
    await away.open(email, await login(server.url, email, PASSWORD));
    expect(await away.end().catch((error: unknown) => error)).toBeInstanceOf(Unreachable);
    expect(away.email).toBe(email);
  });

  test("whose token is about to end, or that the server has ended, ends all the same", async () => {
    await opened();
    age();
    expect(await session().end()).toBe(true);
    const kept = await opened();
    await server.setPassword(kept.email as string, `${PASSWORD} of today`);
    age();
    expect(await kept.end()).toBe(true);
    expect(book()).toEqual({});
  });

  test.each(["", "{", "[]", '"text"', "null", '{"http://x":{"email":"a"}}', '{"http://x":null}'])(
    "in a file that holds %j is refused, and the file stays as it is",
    async (text) => {
      mkdirSync(folder, { recursive: true });
      writeFileSync(file(), text);
      const expected = `${file()} is damaged: remove it, and log in again`;
      expect((await refusal(session().token())).message).toBe(expected);
      const { email } = await server.user();
      const tokens = await login(server.url, email, PASSWORD);
      expect((await refusal(session().open(email, tokens))).message).toBe(expected);
      expect(readFileSync(file(), "utf8")).toBe(text);
    },
  );

  test("where there can be no folder says so", async () => {
    writeFileSync(folder, "a file");
    const { email } = await server.user();
    const error = await refusal(session().open(email, await login(server.url, email, PASSWORD)));
    expect(error.code).toBe("no_place");
    expect(error.message).toContain(folder);
    expect((await refusal(session().token())).code).toBe("no_place");
  });
});

describe("a given token", () => {
  test("is used as it is, and cannot be renewed", async () => {
    const { token } = await server.user();
    const api = new Api(server.url, new GivenToken(token));
    expect((await api.me()).role).toBe("user");
    expect((await refusal(new Api(server.url, new GivenToken("x")).me())).code).toBe("bad_token");
  });
});

test("the folder for settings follows the system's customs", () => {
  expect(configFolder({ HOME: "/home/ada" })).toBe(join("/home/ada", ".config", "artel"));
  expect(configFolder({ HOME: "/home/ada", XDG_CONFIG_HOME: "/settings" })).toBe(join("/settings", "artel"));
  expect(() => configFolder({})).toThrow(NoSession);
});
