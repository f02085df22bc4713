import { Database } from "bun:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Unavailable } from "../../src/domain/errors.ts";
import { sqliteAccounts } from "../../src/drivers/sqlite/accounts.ts";
import { type OpenedDatabase, openDatabase } from "../../src/drivers/sqlite/database.ts";
import { migrateUp } from "../../src/drivers/sqlite/migrate.ts";
import type { AccountStore } from "../../src/ports/accounts.ts";

const NOW = Date.UTC(2026, 0, 1);
const DAY = 86_400_000;

let folder: string;
let database: OpenedDatabase;
let store: AccountStore;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "artel-accounts-"));
  database = openDatabase(join(folder, "artel.db"));
  migrateUp(database.db);
  store = sqliteAccounts(database.orm);
});

afterEach(() => {
  database.close();
  rmSync(folder, { recursive: true, force: true });
});

function account(email = "ada@example.com", id = `id of ${email}`) {
  const created = store.create({ id, email, passwordHash: "hash", role: "user", createdAt: NOW });
  if (!created) throw new Error(`${email} is taken`);
  return created;
}

function session(id: string, n: number, options: { expiresAt?: number; refreshHash?: string | null } = {}) {
  const { expiresAt = NOW + 30 * DAY, refreshHash = `refresh ${id}` } = options;
  return store.openSession({ id, account: n, createdAt: NOW, expiresAt, refreshHash });
}

const count = (table: string) => database.db.query<{ n: number }, []>(`SELECT count(*) AS n FROM ${table}`).get()?.n;

describe("accounts", () => {
  test("one that is created can be found by each of its keys", () => {
    const ada = account();
    expect(ada).toEqual({ n: ada.n, id: "id of ada@example.com", email: "ada@example.com", role: "user", createdAt: NOW });
    expect(store.byId(ada.id)).toEqual(ada);
    expect(store.byKey(ada.n)).toEqual({ ...ada, passwordHash: "hash" });
    expect(store.byEmail(ada.email)).toEqual({ ...ada, passwordHash: "hash" });
    expect([store.byId("x"), store.byKey(77), store.byEmail("x@example.com"), store.session("x")]).toEqual(
      Array(4).fill(undefined),
    );
  });

  test("an e-mail is taken once", () => {
    const ada = account();
    expect(store.create({ id: "other", email: ada.email, passwordHash: "x", role: "admin", createdAt: NOW })).toBeUndefined();
    expect(store.byEmail(ada.email)?.id).toBe(ada.id);
    expect(account("bob@example.com").n).not.toBe(ada.n);
  });

  test("a role changes, also for sessions that are open", () => {
    const ada = account();
    session("s", ada.n);
    store.setRole(ada.n, "admin");
    expect(store.session("s")?.account).toEqual({ ...ada, role: "admin" });
  });

  test("a new password ends all live sessions but the kept one, and no one else's", () => {
    const [ada, bob] = [account(), account("bob@example.com")];
    for (const id of ["kept", "a", "b", "gone"]) session(id, ada.n);
    session("old", ada.n, { expiresAt: NOW - 1 });
    session("bob's", bob.n);
    store.revokeSession("gone", NOW);
    expect(store.setPassword({ account: ada.n, hash: "new", keep: "kept", now: NOW })?.sort()).toEqual(["a", "b"]);
    expect(store.byKey(ada.n)?.passwordHash).toBe("new");
    expect(store.endedAmong(["kept", "a", "b", "bob's"], NOW).sort()).toEqual(["a", "b"]);
  });

  test("a new password and a new session can depend on the old password", () => {
    const ada = account();
    session("s", ada.n);
    expect(store.setPassword({ account: ada.n, hash: "new", ifPasswordHash: "other", now: NOW })).toBeUndefined();
    expect(store.endedAmong(["s"], NOW)).toEqual([]);
    expect(store.byKey(ada.n)?.passwordHash).toBe("hash");
    const late = { id: "late", account: ada.n, createdAt: NOW, expiresAt: NOW + DAY, refreshHash: "r" };
    expect(store.openSession({ ...late, ifPasswordHash: "other" })).toBe(false);
    expect(store.session("late")).toBeUndefined();
    expect(store.openSession({ ...late, ifPasswordHash: "hash" })).toBe(true);
  });
});

describe("sessions", () => {
  test("a session carries its account", () => {
    const ada = account();
    session("s", ada.n);
    expect(store.session("s")).toEqual({ id: "s", account: ada, createdAt: NOW, expiresAt: NOW + 30 * DAY, revokedAt: null });
  });

  test("rotation spends the token, puts the next in its place and prolongs the session", () => {
    session("s", account().n);
    const outcome = store.rotate("refresh s", "next", NOW + DAY, NOW + 31 * DAY);
    expect(outcome).toMatchObject({ kind: "rotated", session: { id: "s", expiresAt: NOW + 31 * DAY } });
    expect(store.session("s")?.expiresAt).toBe(NOW + 31 * DAY);
    expect(store.rotate("next", "after", NOW + DAY, NOW + 31 * DAY).kind).toBe("rotated");
  });

  test("a spent token that comes back ends the session, its newest token too", () => {
    session("s", account().n);
    store.rotate("refresh s", "next", NOW, NOW + DAY);
    expect(store.rotate("refresh s", "x", NOW + 1, NOW + DAY)).toEqual({ kind: "reused", sessionId: "s" });
    expect(store.session("s")).toMatchObject({ revokedAt: NOW + 1, expiresAt: NOW + 1 });
    expect(store.rotate("next", "y", NOW + 2, NOW + DAY)).toEqual({ kind: "unknown" });
    expect(store.rotate("refresh s", "z", NOW + 2, NOW + DAY)).toEqual({ kind: "unknown" });
  });

  test("tokens that nobody was given, and those of sessions that have ended, are unknown", () => {
    const { n } = account();
    session("old", n, { expiresAt: NOW });
    session("ended", n);
    store.revokeSession("ended", NOW);
    for (const hash of ["nobody's", "refresh old", "refresh ended"]) {
      expect(store.rotate(hash, `next ${hash}`, NOW, NOW + DAY)).toEqual({ kind: "unknown" });
    }
    expect(count("refresh_tokens")).toBe(2);
  });

  test("a session ends once", () => {
    session("s", account().n);
    expect(store.revokeSession("s", NOW)).toBe(true);
    expect(store.revokeSession("s", NOW + 1)).toBe(false);
    expect(store.session("s")?.revokedAt).toBe(NOW);
  });

  test("of any number of sessions those that have ended are told", () => {
    const { n } = account();
    session("live", n);
    session("old", n, { expiresAt: NOW });
    const many = Array.from({ length: 40_000 }, (_, i) => `missing ' " ${i}`);
    expect(store.endedAmong(["live", "old", ...many], NOW)).toEqual(["old", ...many]);
    expect(store.endedAmong([], NOW)).toEqual([]);
  });

  test("purging takes ended sessions with their tokens, so many at a time, and no live one", () => {
    const { n } = account();
    for (const id of ["a", "b"]) session(id, n, { expiresAt: NOW - 2 });
    session("revoked", n);
    store.revokeSession("revoked", NOW - 1);
    session("live", n);
    expect([store.purgeSessions(NOW, 2), store.purgeSessions(NOW, 2), store.purgeSessions(NOW, 2)]).toEqual([2, 1, 0]);
    expect([count("sessions"), count("refresh_tokens")]).toEqual([1, 1]);
  });

  test("purging takes tokens that were spent long ago, and leaves the live line", () => {
    session("s", account().n);
    for (let i = 0; i < 5; i += 1) store.rotate(i === 0 ? "refresh s" : `t${i}`, `t${i + 1}`, NOW + i, NOW + 60 * DAY);
    expect(store.purgeSpentTokens(NOW + 3, 2)).toBe(2);
    expect(store.purgeSpentTokens(NOW + 3, 100)).toBe(1);
    expect(store.rotate("refresh s", "x", NOW + 9, NOW + 60 * DAY)).toEqual({ kind: "unknown" });
    expect(store.rotate("t5", "t6", NOW + 9, NOW + 60 * DAY).kind).toBe("rotated");
    expect(store.rotate("t3", "x", NOW + 9, NOW + 60 * DAY).kind).toBe("reused");
  });
});

test("what cannot be stored is unavailable, and the transaction leaves nothing", () => {
  const { n } = account();
  session("s", n);
  const other = new Database(join(folder, "artel.db"));
  database.db.run("PRAGMA busy_timeout = 0");
  other.run("BEGIN IMMEDIATE");
  try {
    expect(() => store.rotate("refresh s", "next", NOW, NOW + DAY)).toThrow(Unavailable);
    expect(() => account("bob@example.com")).toThrow(Unavailable);
  } finally {
    other.run("ROLLBACK");
    other.close();
  }
  expect(store.rotate("refresh s", "next", NOW, NOW + DAY).kind).toBe("rotated");
});

test("a full disk in the middle of a rotation keeps the old token good", () => {
  session("s", account().n);
  const pages = database.db.query<{ page_count: number }, []>("PRAGMA page_count").get()?.page_count ?? 0;
  database.db.run(`PRAGMA max_page_count = ${pages}`);
  const long = "x".repeat(100_000);
  expect(() => store.rotate("refresh s", long, NOW, NOW + DAY)).toThrow(Unavailable);
  expect(store.rotate("refresh s", "next", NOW, NOW + DAY).kind).toBe("rotated");
});
