import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Identity } from "../../src/domain/account.ts";
import { ArtelError } from "../../src/domain/errors.ts";
import type { TokenPair } from "../../src/services/accounts.ts";
import { type AccountsFixture, ADDRESS, accountsFixture, PASSWORD } from "../support/accounts.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const EMAIL = "ada@example.com";

async function codeOf(work: () => unknown): Promise<string | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    if (error instanceof ArtelError) return error.code;
    throw error;
  }
}

async function registered(options: Parameters<typeof accountsFixture>[0] = {}) {
  const fixture = await accountsFixture(options);
  const account = await fixture.accounts.register({ email: EMAIL, password: PASSWORD }, ADDRESS);
  const login = (password = PASSWORD) => fixture.accounts.login({ email: EMAIL, password }, ADDRESS);
  const ended: string[] = [];
  fixture.accounts.onSessionEnded((id) => void ended.push(id));
  return { ...fixture, account, login, ended };
}

/** Whether it was known at once: never a promise. */
function known({ accounts }: Pick<AccountsFixture, "accounts">, token: string): Identity | undefined {
  const identity = accounts.authenticate(token);
  return identity instanceof Promise ? void identity.catch(() => {}) : identity;
}

describe("registration", () => {
  test("makes users, the first one too, under the normalised address", async () => {
    const { accounts, clock } = await accountsFixture();
    const account = await accounts.register({ email: " Ada@Example.COM ", password: PASSWORD }, ADDRESS);
    expect(account).toMatchObject({ email: EMAIL, role: "user", createdAt: clock.now() });
    expect(accounts.find(account.id)).toEqual(account);
  });

  test("refuses bad addresses, weak passwords, and addresses that are taken, whatever their case", async () => {
    const { accounts } = await registered();
    const register = (email: string, password: string) => codeOf(() => accounts.register({ email, password }, ADDRESS));
    expect(await register("ada", PASSWORD)).toBe("invalid_email");
    expect(await register("bob@example.com", "short")).toBe("weak_password");
    expect(await register("ADA@example.com", PASSWORD)).toBe("email_taken");
  });

  test("of several at the same time one gets the address", async () => {
    const { accounts } = await accountsFixture();
    const codes = await Promise.all(
      Array.from({ length: 8 }, () => codeOf(() => accounts.register({ email: EMAIL, password: PASSWORD }, ADDRESS))),
    );
    expect(codes.filter((code) => code === undefined)).toHaveLength(1);
    expect(codes.filter((code) => code === "email_taken")).toHaveLength(7);
  });

  test("is limited by address; what was refused as invalid does not count", async () => {
    const { accounts } = await accountsFixture({ limits: { registration: { times: 1, windowMs: MINUTE_MS } } });
    const register = (email: string, address = ADDRESS) =>
      codeOf(() => accounts.register({ email, password: PASSWORD }, address));
    expect(await register("nobody")).toBe("invalid_email");
    expect(await register("a@example.com")).toBeUndefined();
    expect(await register("b@example.com")).toBe("rate_limited");
    expect(await register("b@example.com", "192.0.2.2")).toBeUndefined();
  });
});

describe("login", () => {
  test("gives tokens that speak for the account, whatever the address's case", async () => {
    const { accounts, account, clock } = await registered();
    const tokens = await accounts.login({ email: "ADA@EXAMPLE.com", password: PASSWORD }, ADDRESS);
    expect(tokens.expiresIn).toBe(900);
    const identity = await accounts.authenticate(tokens.accessToken);
    expect(identity).toMatchObject({
      accountKey: account.n,
      accountId: account.id,
      role: "user",
      expiresAt: clock.now() + 900_000,
    });
    expect(accounts.me(identity)).toMatchObject(account);
  });

  test.each([
    ["a wrong password", EMAIL, "wrong horse battery"],
    ["an empty password", EMAIL, ""],
    ["a password beyond all lengths", EMAIL, "x".repeat(100_000)],
    ["an account that does not exist", "bob@example.com", PASSWORD],
    ["an address that none can have", "bob", PASSWORD],
  ])("%s gets the same answer after the same work: one verification", async (_, email, password) => {
    const { accounts, passwords } = await registered();
    const error = await accounts.login({ email, password }, ADDRESS).catch((caught: unknown) => caught);
    expect(error).toMatchObject({
      name: "Unauthorized",
      code: "invalid_credentials",
      message: "the e-mail or the password is wrong",
    });
    expect(passwords.verified).toHaveLength(1);
  });

  test("failures are limited for accounts that do not exist just as for those that do", async () => {
    const { accounts, login } = await registered({ limits: { loginPair: { times: 3, windowMs: MINUTE_MS } } });
    for (const email of [EMAIL, "bob@example.com", "nobody"]) {
      const codes = [];
      for (let i = 0; i < 4; i += 1) codes.push(await codeOf(() => accounts.login({ email, password: "wrong horse" }, ADDRESS)));
      expect(codes).toEqual([...Array(3).fill("invalid_credentials"), "rate_limited"]);
    }
    expect(await codeOf(() => login())).toBe("rate_limited");
    expect(await codeOf(() => accounts.login({ email: EMAIL, password: PASSWORD }, "192.0.2.2"))).toBeUndefined();
  });

  test("who is limited costs no hash", async () => {
    const { accounts, passwords } = await registered({ limits: { loginPair: { times: 1, windowMs: MINUTE_MS } } });
    for (let i = 0; i < 5; i += 1) await codeOf(() => accounts.login({ email: EMAIL, password: "wrong horse" }, ADDRESS));
    expect(passwords.verified).toHaveLength(1);
  });

  test("many good logins at the same time are no failures", async () => {
    const { login } = await registered();
    const codes = await Promise.all(Array.from({ length: 40 }, () => codeOf(() => login())));
    expect(codes.filter((code) => code !== undefined)).toEqual([]);
  });

  test("a password that is changed while it is checked opens no session", async () => {
    const { login, passwords, admin } = await registered();
    passwords.delay = async () => {
      passwords.delay = () => Promise.resolve();
      await admin.setPassword(EMAIL, "another horse battery");
    };
    expect(await codeOf(() => login())).toBe("invalid_credentials");
  });
});

describe("access tokens", () => {
  test("are looked up once; after that the answer is there at once", async () => {
    const fixture = await registered();
    const { accessToken } = await fixture.login();
    expect(known(fixture, accessToken)).toBeUndefined();
    const identity = await fixture.accounts.authenticate(accessToken);
    expect(known(fixture, accessToken)).toEqual(identity);
  });

  test("end after 15 minutes, also when they are known", async () => {
    const { accounts, login, clock } = await registered();
    const { accessToken } = await login();
    await accounts.authenticate(accessToken);
    clock.advance(15 * MINUTE_MS - 1);
    expect(await codeOf(() => accounts.authenticate(accessToken))).toBeUndefined();
    clock.advance(1);
    expect(() => accounts.authenticate(accessToken)).toThrow("has expired");
    expect(await codeOf(() => accounts.authenticate(accessToken))).toBe("invalid_token");
  });

  test("are refused when they are none, or somebody else's", async () => {
    const { accounts, login } = await registered();
    const other = await registered();
    const { accessToken } = await login();
    for (const token of ["", "x", `${accessToken}x`, accessToken.slice(0, -4), "x".repeat(1_000_000)]) {
      expect(await codeOf(() => accounts.authenticate(token))).toBe("invalid_token");
    }
    // The same secret, another data directory: the session is not there.
    expect(await codeOf(() => other.accounts.authenticate(accessToken))).toBe("invalid_token");
  });

  test("only so many are remembered, the oldest is forgotten first, and all keep counting", async () => {
    const fixture = await registered({ cacheSize: 2 });
    const tokens = [];
    for (let i = 0; i < 3; i += 1) tokens.push((await fixture.login()).accessToken);
    for (const token of tokens) await fixture.accounts.authenticate(token);
    expect(tokens.map((token) => known(fixture, token) !== undefined)).toEqual([false, true, true]);
    for (const token of tokens) expect(await codeOf(() => fixture.accounts.authenticate(token))).toBeUndefined();
  });
});

describe("logout", () => {
  test("ends the session, its tokens and its tickets, tells of it once, and leaves other sessions", async () => {
    const { accounts, login, ended } = await registered();
    const [one, other] = [await login(), await login()];
    const identity = await accounts.authenticate(one.accessToken);
    await accounts.authenticate(other.accessToken);
    const { ticket } = accounts.issueTicket(identity);
    accounts.logout(identity);
    accounts.logout(identity);
    expect(ended).toEqual([identity.sessionId]);
    expect(await codeOf(() => accounts.authenticate(one.accessToken))).toBe("invalid_token");
    expect(await codeOf(() => accounts.refresh(one.refreshToken, ADDRESS))).toBe("invalid_refresh_token");
    expect(await codeOf(() => accounts.redeemTicket(ticket))).toBe("invalid_token");
    expect(await codeOf(() => accounts.authenticate(other.accessToken))).toBeUndefined();
  });

  test("counts for a token that is being checked at that moment", async () => {
    const { accounts, login } = await registered();
    const { accessToken } = await login();
    const checking = accounts.authenticate(accessToken);
    const identity = await login().then(({ accessToken: token }) => accounts.authenticate(token));
    const { sessionId } = await accounts.authenticate(accessToken);
    accounts.logout({ ...identity, sessionId });
    await checking;
    expect(await codeOf(() => accounts.authenticate(accessToken))).toBe("invalid_token");
  });
});

describe("refresh", () => {
  test("spends the old token and prolongs the session by 30 days", async () => {
    const { accounts, login, clock } = await registered();
    let tokens = await login();
    for (let i = 0; i < 4; i += 1) {
      clock.advance(29 * DAY_MS);
      const next = await accounts.refresh(tokens.refreshToken, ADDRESS);
      expect([next.accessToken, next.refreshToken]).not.toContain(tokens.accessToken);
      expect(next.refreshToken).not.toBe(tokens.refreshToken);
      tokens = next;
    }
    expect(await codeOf(() => accounts.authenticate(tokens.accessToken))).toBeUndefined();
    clock.advance(30 * DAY_MS);
    expect(await codeOf(() => accounts.refresh(tokens.refreshToken, ADDRESS))).toBe("invalid_refresh_token");
  });

  test("reuse of a spent token ends the session at once, for both holders", async () => {
    const { accounts, login, ended } = await registered();
    const first = await login();
    const second = await accounts.refresh(first.refreshToken, ADDRESS);
    const { sessionId } = await accounts.authenticate(second.accessToken);
    expect(await codeOf(() => accounts.refresh(first.refreshToken, ADDRESS))).toBe("invalid_refresh_token");
    expect(ended).toEqual([sessionId]);
    expect(await codeOf(() => accounts.authenticate(second.accessToken))).toBe("invalid_token");
    expect(await codeOf(() => accounts.refresh(second.refreshToken, ADDRESS))).toBe("invalid_refresh_token");
    expect(ended).toEqual([sessionId]);
  });

  test("of the same token several times at once succeeds once at most", async () => {
    const { accounts, login, ended } = await registered();
    const { refreshToken } = await login();
    const codes = await Promise.all(Array.from({ length: 5 }, () => codeOf(() => accounts.refresh(refreshToken, ADDRESS))));
    expect(codes.filter((code) => code === undefined)).toHaveLength(1);
    expect(ended).toHaveLength(1);
  });

  test("is limited by address, and refuses what is no token", async () => {
    const { accounts } = await accountsFixture({ limits: { refresh: { times: 2, windowMs: MINUTE_MS } } });
    expect(await codeOf(() => accounts.refresh("", ADDRESS))).toBe("invalid_refresh_token");
    expect(await codeOf(() => accounts.refresh("x", ADDRESS))).toBe("invalid_refresh_token");
    expect(await codeOf(() => accounts.refresh("x", ADDRESS))).toBe("rate_limited");
  });

  test("whatever several holders do with copies of its tokens, a session has at most one live line", async () => {
    const fixture = await registered();
    const holder = fc.nat({ max: 3 });
    const steps = fc.array(
      fc.oneof({ weight: 3, arbitrary: fc.record({ refresh: holder }) }, fc.record({ copy: holder, to: holder })),
      { maxLength: 20 },
    );
    await fc.assert(
      fc.asyncProperty(steps, async (history) => {
        const start = (await fixture.login()).refreshToken;
        const inHands = Array.from({ length: 4 }, () => start);
        const model = { newest: start, ended: false };
        for (const step of history) {
          if ("refresh" in step) await present(fixture, inHands, step.refresh, model);
          else inHands[step.to] = inHands[step.copy] ?? start;
        }
        // Now everybody tries at the end: only one who holds the newest can get on, and only before a spent one is shown.
        let lines = 0;
        for (const held of inHands.keys()) lines += (await present(fixture, inHands, held, model)) ? 1 : 0;
        expect(lines).toBeLessThanOrEqual(1);
      }),
      { numRuns: 150 },
    );
  });
});

/** A holder refreshes; what comes of it must be what the model says. */
async function present(
  { accounts }: AccountsFixture,
  inHands: string[],
  holder: number,
  model: { newest: string; ended: boolean },
): Promise<boolean> {
  const shown = inHands[holder] ?? "";
  const outcome: TokenPair | undefined = await accounts.refresh(shown, ADDRESS).catch((error: unknown) => {
    if (error instanceof ArtelError) return undefined;
    throw error;
  });
  expect(outcome !== undefined).toBe(!model.ended && shown === model.newest);
  if (outcome) {
    model.newest = outcome.refreshToken;
    inHands[holder] = outcome.refreshToken;
  } else {
    model.ended = true;
  }
  return outcome !== undefined;
}

describe("changing the password", () => {
  const NEXT = "another horse battery";

  test("ends the other sessions and long-lived tokens, and keeps the current session", async () => {
    const { accounts, login, ended, admin } = await registered();
    const [current, other] = [await login(), await login()];
    const { token } = await admin.issueToken(EMAIL, DAY_MS);
    const identity = await accounts.authenticate(current.accessToken);
    const others = [await accounts.authenticate(other.accessToken), await accounts.authenticate(token)];
    await accounts.changePassword(identity, PASSWORD, NEXT, ADDRESS);
    expect(ended.toSorted()).toEqual(others.map(({ sessionId }) => sessionId).toSorted());
    for (const dead of [other.accessToken, token]) expect(await codeOf(() => accounts.authenticate(dead))).toBe("invalid_token");
    expect(await codeOf(() => accounts.authenticate(current.accessToken))).toBeUndefined();
    expect(await codeOf(() => accounts.refresh(current.refreshToken, ADDRESS))).toBeUndefined();
    expect(await codeOf(() => login())).toBe("invalid_credentials");
    expect(await codeOf(() => login(NEXT))).toBeUndefined();
  });

  test("needs the current one, with the same limit as logins, and a good new one", async () => {
    const { accounts, login } = await registered({ limits: { loginPair: { times: 2, windowMs: MINUTE_MS } } });
    const identity = await accounts.authenticate((await login()).accessToken);
    const change = (current: string, next: string) => codeOf(() => accounts.changePassword(identity, current, next, ADDRESS));
    expect(await change(PASSWORD, "short")).toBe("weak_password");
    expect(await change("wrong horse", NEXT)).toBe("wrong_password");
    expect(await change("wrong horse", NEXT)).toBe("wrong_password");
    expect(await change(PASSWORD, NEXT)).toBe("rate_limited");
  });

  test("from two sessions at the same time changes it once", async () => {
    const { accounts, login } = await registered();
    const identities = [];
    for (let i = 0; i < 2; i += 1) identities.push(await accounts.authenticate((await login()).accessToken));
    const codes = await Promise.all(
      identities.map((identity, i) => codeOf(() => accounts.changePassword(identity, PASSWORD, `${NEXT} ${i}`, ADDRESS))),
    );
    expect(codes.filter((code) => code === undefined)).toHaveLength(1);
  });

  test("is called off when the session ends meanwhile", async () => {
    const { accounts, login, passwords } = await registered();
    const identity = await accounts.authenticate((await login()).accessToken);
    passwords.delay = async () => accounts.logout(identity);
    expect(await codeOf(() => accounts.changePassword(identity, PASSWORD, NEXT, ADDRESS))).toBe("invalid_token");
    expect(await codeOf(() => login())).toBeUndefined();
  });
});

describe("WebSocket tickets", () => {
  test("are good once, for 30 seconds, and end with the token they were got with", async () => {
    const { accounts, login, clock } = await registered();
    const identity = await accounts.authenticate((await login()).accessToken);
    const [a, b] = [accounts.issueTicket(identity), accounts.issueTicket(identity)];
    expect(a.expiresIn).toBe(30);
    clock.advance(29_999);
    expect(accounts.redeemTicket(a.ticket)).toEqual(identity);
    expect(await codeOf(() => accounts.redeemTicket(a.ticket))).toBe("invalid_ticket");
    clock.advance(1);
    expect(await codeOf(() => accounts.redeemTicket(b.ticket))).toBe("invalid_ticket");
    expect(await codeOf(() => accounts.redeemTicket("made up"))).toBe("invalid_ticket");
  });

  test("are bounded per session, and used or expired ones do not count", async () => {
    const { accounts, login, clock } = await registered();
    const identity = await accounts.authenticate((await login()).accessToken);
    for (let i = 0; i < 200; i += 1) accounts.redeemTicket(accounts.issueTicket(identity).ticket);
    for (let i = 0; i < 100; i += 1) accounts.issueTicket(identity);
    expect(await codeOf(() => accounts.issueTicket(identity))).toBe("too_many_tickets");
    clock.advance(30_000);
    expect(await codeOf(() => accounts.issueTicket(identity))).toBeUndefined();
  });
});

describe("changes by another process", () => {
  test("of a password end sessions at the next look, and those that are held are told of", async () => {
    const { accounts, login, admin, ended } = await registered();
    const { accessToken } = await login();
    const identity = await accounts.authenticate(accessToken);
    const release = accounts.holdSession(identity.sessionId);
    await admin.setPassword(EMAIL, "another horse battery");
    expect(ended).toEqual([]);
    accounts.refreshFromStore();
    expect(ended).toEqual([identity.sessionId]);
    expect(await codeOf(() => accounts.authenticate(accessToken))).toBe("invalid_token");
    release();
    accounts.refreshFromStore();
    expect(ended).toEqual([identity.sessionId]);
  });

  test("of a role are seen at the next look, without ending anything", async () => {
    const { accounts, login, admin, ended } = await registered();
    const { accessToken } = await login();
    const identity = await accounts.authenticate(accessToken);
    const { ticket } = accounts.issueTicket(identity);
    accounts.holdSession(identity.sessionId);
    admin.promote(" ADA@example.com");
    accounts.refreshFromStore();
    expect(await accounts.authenticate(accessToken)).toEqual({ ...identity, role: "admin" });
    expect(accounts.redeemTicket(ticket).role).toBe("admin");
    expect(ended).toEqual([]);
  });

  test("are looked for as long as anybody holds the session", async () => {
    const { accounts, login, admin, ended } = await registered();
    const { sessionId } = await accounts.authenticate((await login()).accessToken);
    const [one, two] = [accounts.holdSession(sessionId), accounts.holdSession(sessionId)];
    one();
    one();
    await admin.setPassword(EMAIL, "another horse battery");
    accounts.refreshFromStore();
    expect(ended).toEqual([sessionId]);
    two();
  });

  test("listeners can stop listening", async () => {
    const { accounts, login, ended } = await registered();
    const more: string[] = [];
    const stop = accounts.onSessionEnded((id) => void more.push(id));
    stop();
    accounts.logout(await accounts.authenticate((await login()).accessToken));
    expect([ended.length, more.length]).toEqual([1, 0]);
  });
});

describe("administration", () => {
  test("creates admins, and finds accounts by any writing of their address", async () => {
    const { accounts, admin } = await accountsFixture();
    expect(await admin.create("Root@example.com", PASSWORD, "admin")).toMatchObject({ email: "root@example.com", role: "admin" });
    expect(await codeOf(() => admin.create("root@EXAMPLE.com", PASSWORD, "user"))).toBe("email_taken");
    const { accessToken } = await accounts.login({ email: "root@example.com", password: PASSWORD }, ADDRESS);
    expect(await accounts.authenticate(accessToken)).toMatchObject({ role: "admin" });
    expect(await codeOf(() => admin.promote("nobody@example.com"))).toBe("account_not_found");
    expect(await codeOf(() => admin.setPassword("nobody@example.com", PASSWORD))).toBe("account_not_found");
    expect(await codeOf(() => admin.issueToken("nobody@example.com", DAY_MS))).toBe("account_not_found");
  });

  test("gives long-lived tokens, which end at their time and on logout", async () => {
    const { accounts, admin, clock, account } = await registered();
    const { token, expiresAt } = await admin.issueToken(EMAIL, 90 * DAY_MS);
    expect(expiresAt).toBe(clock.now() + 90 * DAY_MS);
    clock.advance(90 * DAY_MS - 1);
    expect(await accounts.authenticate(token)).toMatchObject({ accountKey: account.n, expiresAt });
    clock.advance(1);
    expect(await codeOf(() => accounts.authenticate(token))).toBe("invalid_token");
    const second = await admin.issueToken(EMAIL, 90 * DAY_MS);
    accounts.logout(await accounts.authenticate(second.token));
    expect(await codeOf(() => accounts.authenticate(second.token))).toBe("invalid_token");
    for (const ms of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(await codeOf(() => admin.issueToken(EMAIL, ms))).toBe("invalid_expiry");
    }
  });

  test("purging removes what has ended and leaves what is live", async () => {
    const { accounts, login, clock, database } = await registered();
    let line = await login();
    accounts.logout(await accounts.authenticate((await login()).accessToken));
    await login();
    for (let i = 0; i < 3; i += 1) {
      clock.advance(20 * DAY_MS);
      line = await accounts.refresh(line.refreshToken, ADDRESS);
    }
    expect(accounts.purge(1_000)).toBeGreaterThan(0);
    expect(accounts.purge(1_000)).toBe(0);
    const rows = database.db
      .query("SELECT (SELECT count(*) FROM sessions) AS sessions, (SELECT count(*) FROM refresh_tokens) AS tokens")
      .get();
    expect(rows).toEqual({ sessions: 1, tokens: 3 });
    expect(await codeOf(() => accounts.refresh(line.refreshToken, ADDRESS))).toBeUndefined();
  });
});
