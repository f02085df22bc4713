import { and, asc, eq, gt, isNull, lt, ne, type SQL, sql } from "drizzle-orm";
import type { BunSQLiteDatabase } from "drizzle-orm/bun-sqlite";
import { type Account, isLive } from "../../domain/account.ts";
import type { AccountStore, NewSession, PasswordChange, RefreshOutcome } from "../../ports/accounts.ts";
import { Disk } from "./disk.ts";
import type * as schema from "./schema.ts";
import { accounts, refreshTokens, sessions } from "./schema.ts";
import { asStorageError } from "./storage-error.ts";

type Orm = BunSQLiteDatabase<typeof schema>;

const param = sql.placeholder;
/** A placeholder where drizzle's types want the column's own value. */
const value = (name: string): SQL => sql`${param(name)}`;
const ACCOUNT = { n: accounts.n, id: accounts.id, email: accounts.email, role: accounts.role, createdAt: accounts.createdAt };
const SESSION = {
  id: sessions.id,
  createdAt: sessions.createdAt,
  expiresAt: sessions.expiresAt,
  revokedAt: sessions.revokedAt,
  account: ACCOUNT,
};

/** Accounts and sessions in SQLite, on statements that are prepared once, when they are first needed: no start waits for them. */
export function sqliteAccounts(orm: Orm, disk = new Disk()): AccountStore {
  const q = statements(orm);

  /** Immediate: the write lock is taken first, so that what was read still holds when it is written. */
  const transact = <T>(work: () => T): T => disk.store(() => orm.transaction(work, { behavior: "immediate" }));

  function endSessions(account: number, now: number, keep = ""): string[] {
    return q.endSessions.all({ account, now, keep }).map(({ id }) => id);
  }

  function setPassword({ account, hash, ifPasswordHash, keep, now }: PasswordChange): string[] | undefined {
    if (ifPasswordHash !== undefined && q.byKey.get({ n: account })?.passwordHash !== ifPasswordHash) return undefined;
    q.setPassword.run({ n: account, hash });
    return endSessions(account, now, keep);
  }

  function openSession({ refreshHash, ifPasswordHash, ...session }: NewSession): boolean {
    if (ifPasswordHash !== undefined && q.byKey.get({ n: session.account })?.passwordHash !== ifPasswordHash) return false;
    q.openSession.run(session);
    if (refreshHash !== null) q.addToken.run({ hash: refreshHash, session: session.id, now: session.createdAt });
    return true;
  }

  function rotate(hash: string, nextHash: string, now: number, expiresAt: number): RefreshOutcome {
    const token = q.token.get({ hash });
    const session = token && q.session.get({ id: token.session });
    if (!session || !isLive(session, now)) return { kind: "unknown" };
    if (token.spentAt !== null) {
      q.endSession.all({ id: session.id, now });
      return { kind: "reused", sessionId: session.id };
    }
    q.spend.run({ hash, now });
    q.addToken.run({ hash: nextHash, session: session.id, now });
    q.prolong.run({ id: session.id, expiresAt });
    return { kind: "rotated", session: { ...session, expiresAt } };
  }

  return {
    create: (account) => disk.store(() => q.create.get(account)),
    byEmail: (email) => guarded(() => q.byEmail.get({ email })),
    byId: (id) => guarded(() => q.byId.get({ id })),
    byKey: (n) => guarded(() => q.byKey.get({ n })),
    setPassword: (change) => transact(() => setPassword(change)),
    setRole: (n, role) => void disk.store(() => q.setRole.run({ n, role })),
    openSession: (session) => transact(() => openSession(session)),
    session: (id) => guarded(() => q.session.get({ id })),
    rotate: (hash, nextHash, now, expiresAt) => transact(() => rotate(hash, nextHash, now, expiresAt)),
    revokeSession: (id, now) => disk.store(() => q.endSession.all({ id, now }).length > 0),
    endSessions: (account, now) => disk.store(() => endSessions(account, now)),
    endedAmong: (ids, now) => guarded(() => orm.all<{ id: string }>(endedAmong(ids, now)).map(({ id }) => id)),
    purgeSessions: (before, limit) => disk.store(() => q.purgeSessions.all({ before, limit }).length),
    purgeSpentTokens: (before, limit) => disk.store(() => q.purgeSpentTokens.all({ before, limit }).length),
  };
}

function statements(orm: Orm) {
  return onFirstUse({ ...accountStatements(orm), ...sessionStatements(orm), ...tokenStatements(orm) });
}

function accountStatements(orm: Orm) {
  const withHash = { ...ACCOUNT, passwordHash: accounts.passwordHash };
  const row = {
    id: value("id"),
    email: value("email"),
    passwordHash: value("passwordHash"),
    role: value("role"),
    createdAt: value("createdAt"),
  };
  return {
    create: () =>
      asOptional<Account>(
        orm.insert(accounts).values(row).onConflictDoNothing({ target: accounts.email }).returning(ACCOUNT).prepare(),
      ),
    byEmail: () =>
      orm
        .select(withHash)
        .from(accounts)
        .where(eq(accounts.email, param("email")))
        .prepare(),
    byId: () =>
      orm
        .select(ACCOUNT)
        .from(accounts)
        .where(eq(accounts.id, param("id")))
        .prepare(),
    byKey: () =>
      orm
        .select(withHash)
        .from(accounts)
        .where(eq(accounts.n, param("n")))
        .prepare(),
    setPassword: () =>
      orm
        .update(accounts)
        .set({ passwordHash: value("hash") })
        .where(eq(accounts.n, param("n")))
        .prepare(),
    setRole: () =>
      orm
        .update(accounts)
        .set({ role: value("role") })
        .where(eq(accounts.n, param("n")))
        .prepare(),
  };
}

function sessionStatements(orm: Orm) {
  const row = { id: value("id"), account: value("account"), createdAt: value("createdAt"), expiresAt: value("expiresAt") };
  // An ended session has expired as well: the index on expiry then finds all there is to purge.
  const ended = { revokedAt: value("now"), expiresAt: sql`min(${sessions.expiresAt}, ${param("now")})` };
  const live = and(isNull(sessions.revokedAt), gt(sessions.expiresAt, param("now")));
  const purgeable = orm
    .select({ id: sessions.id })
    .from(sessions)
    .where(lt(sessions.expiresAt, param("before")))
    .limit(param("limit"));
  return {
    openSession: () => orm.insert(sessions).values(row).prepare(),
    session: () =>
      orm
        .select(SESSION)
        .from(sessions)
        .innerJoin(accounts, eq(accounts.n, sessions.account))
        .where(eq(sessions.id, param("id")))
        .prepare(),
    prolong: () =>
      orm
        .update(sessions)
        .set({ expiresAt: value("expiresAt") })
        .where(eq(sessions.id, param("id")))
        .prepare(),
    endSession: () =>
      orm
        .update(sessions)
        .set(ended)
        .where(and(eq(sessions.id, param("id")), live))
        .returning({ id: sessions.id })
        .prepare(),
    endSessions: () =>
      orm
        .update(sessions)
        .set(ended)
        .where(and(eq(sessions.account, param("account")), ne(sessions.id, param("keep")), live))
        .returning({ id: sessions.id })
        .prepare(),
    purgeSessions: () => orm.delete(sessions).where(sql`${sessions.id} IN ${purgeable}`).returning({ id: sessions.id }).prepare(),
  };
}

function tokenStatements(orm: Orm) {
  const rowid = sql`${refreshTokens}.rowid`;
  const oldest = orm.select({ rowid }).from(refreshTokens).orderBy(asc(rowid)).limit(param("limit"));
  return {
    token: () =>
      orm
        .select()
        .from(refreshTokens)
        .where(eq(refreshTokens.hash, param("hash")))
        .prepare(),
    addToken: () =>
      orm
        .insert(refreshTokens)
        .values({ hash: value("hash"), session: value("session"), createdAt: value("now") })
        .prepare(),
    spend: () =>
      orm
        .update(refreshTokens)
        .set({ spentAt: value("now") })
        .where(eq(refreshTokens.hash, param("hash")))
        .prepare(),
    purgeSpentTokens: () =>
      orm
        .delete(refreshTokens)
        .where(and(sql`${rowid} IN ${oldest}`, lt(refreshTokens.spentAt, param("before"))))
        .returning({ hash: refreshTokens.hash })
        .prepare(),
  };
}

/** One statement for any number of ids: SQLite bounds the number of parameters, not the length of a JSON text. */
function endedAmong(ids: readonly string[], now: number): SQL {
  return sql`SELECT value AS id FROM json_each(${JSON.stringify(ids)}) WHERE NOT EXISTS (
    SELECT 1 FROM ${sessions} WHERE ${sessions.id} = value AND ${sessions.revokedAt} IS NULL AND ${sessions.expiresAt} > ${now})`;
}

type Made<Makers extends Record<string, () => unknown>> = { readonly [Name in keyof Makers]: ReturnType<Makers[Name]> };

function onFirstUse<Makers extends Record<string, () => unknown>>(makers: Makers): Made<Makers> {
  const made = {};
  for (const [name, make] of Object.entries(makers)) {
    Object.defineProperty(made, name, {
      configurable: true,
      get() {
        const value = make();
        Object.defineProperty(made, name, { value });
        return value;
      },
    });
  }
  return made as Made<Makers>;
}

/** Drizzle's types do not say that an insert which did nothing returns no row. */
function asOptional<Row>(statement: { get(values: Record<string, unknown>): unknown }): {
  get(values: Record<string, unknown>): Row | undefined;
} {
  return { get: (values) => (statement.get(values) as Row | null | undefined) ?? undefined };
}

function guarded<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw asStorageError(error);
  }
}
