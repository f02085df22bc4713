import { Argon2Passwords } from "../../src/drivers/argon2.ts";
import { jwtSigner } from "../../src/drivers/jwt.ts";
import { sqliteAccounts } from "../../src/drivers/sqlite/accounts.ts";
import { openDatabase } from "../../src/drivers/sqlite/database.ts";
import { migrateUp } from "../../src/drivers/sqlite/migrate.ts";
import type { Admit, Passwords } from "../../src/ports/passwords.ts";
import type { Clock } from "../../src/ports/runtime.ts";
import { AccountAdmin } from "../../src/services/account-admin.ts";
import { Accounts } from "../../src/services/accounts.ts";
import { type LimitSettings, Limits } from "../../src/services/limits.ts";
import { CountingRandom, ManualClock } from "./manual-runtime.ts";

export const SECRET = "a secret of the tests, long enough";
export const PASSWORD = "correct horse battery";
export const ADDRESS = "192.0.2.1";

/** The real argon2id, as cheap as it goes. */
export function cheapPasswords(options: { atOnce?: number; waiting?: number } = {}): Argon2Passwords {
  return new Argon2Passwords({ memoryKiB: 8, passes: 1, ...options });
}

/** Passes everything on; what was verified can be counted, and a verification can be held up. */
export class WatchedPasswords implements Passwords {
  readonly verified: (string | undefined)[] = [];
  /** Awaited before the answer of each `verify` and `hash`. */
  delay: () => Promise<void> = () => Promise.resolve();
  readonly #inner: Passwords;

  constructor(inner: Passwords) {
    this.#inner = inner;
  }

  async hash(password: string, admit?: Admit): Promise<string> {
    const hash = await this.#inner.hash(password, admit);
    await this.delay();
    return hash;
  }

  async verify(password: string, hash: string | undefined, admit?: Admit): Promise<boolean> {
    this.verified.push(hash);
    const right = await this.#inner.verify(password, hash, admit);
    await this.delay();
    return right;
  }
}

/** Accounts on the real store, hash and signer, with a clock and randomness of the test's. */
export async function accountsFixture(options: { limits?: Partial<LimitSettings>; cacheSize?: number; clock?: Clock } = {}) {
  const database = openDatabase(":memory:");
  migrateUp(database.db);
  const manual = new ManualClock();
  const clock = options.clock ?? manual;
  const random = new CountingRandom();
  const store = sqliteAccounts(database.orm);
  const passwords = new WatchedPasswords(cheapPasswords());
  const signer = await jwtSigner(SECRET, clock);
  const deps = { store, passwords, signer, clock, random };
  const limits = new Limits(options.limits);
  const accounts = new Accounts({
    ...deps,
    limits,
    ...(options.cacheSize === undefined ? {} : { cacheSize: options.cacheSize }),
  });
  /** As a command in another process would have it. */
  const admin = new AccountAdmin(deps);
  return { ...deps, database, clock: manual, accounts, admin };
}

export type AccountsFixture = Awaited<ReturnType<typeof accountsFixture>>;
