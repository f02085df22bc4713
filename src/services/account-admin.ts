import { type Account, checkNewPassword, normalizeEmail, type Role } from "../domain/account.ts";
import { Conflict, InvalidInput, NotFound } from "../domain/errors.ts";
import type { AccountStore } from "../ports/accounts.ts";
import type { Passwords } from "../ports/passwords.ts";
import type { Clock, Random } from "../ports/runtime.ts";
import type { TokenSigner } from "../ports/tokens.ts";

export interface AccountAdminDeps {
  readonly store: AccountStore;
  readonly passwords: Passwords;
  readonly signer: Pick<TokenSigner, "sign">;
  readonly clock: Clock;
  readonly random: Random;
}

export interface LongLivedToken {
  readonly token: string;
  /** Milliseconds since 1970 UTC. */
  readonly expiresAt: number;
}

/** A hundred years: beyond it the dates of some languages end. */
const LONGEST_TOKEN_MS = 100 * 365 * 86_400_000;

/**
 * What those who run the service may do to accounts, without limits. Meant for commands beside the server, which
 * heeds it through `Accounts.refreshFromStore`.
 */
export class AccountAdmin {
  readonly #deps: AccountAdminDeps;

  constructor(deps: AccountAdminDeps) {
    this.#deps = deps;
  }

  /** Before somebody is asked for a password. @throws InvalidInput `invalid_email`; Conflict `email_taken` */
  expectFree(email: string): void {
    if (this.#deps.store.byEmail(normalizeEmail(email))) throw emailTaken();
  }

  /** @throws InvalidInput `invalid_email`; NotFound `account_not_found` */
  find(email: string): Account {
    const account = this.#deps.store.byEmail(normalizeEmail(email));
    if (!account) throw new NotFound("account_not_found", `there is no account with the e-mail ${email.trim()}`);
    return account;
  }

  /** @throws InvalidInput `invalid_email`, `weak_password`; Conflict `email_taken` */
  async create(email: string, password: string, role: Role): Promise<Account> {
    const normalized = normalizeEmail(email);
    return createAccount(this.#deps, { email: normalized, prepared: checkNewPassword(password, normalized), role });
  }

  /** Makes an account an admin. @throws NotFound `account_not_found` */
  promote(email: string): void {
    this.#deps.store.setRole(this.find(email).n, "admin");
  }

  /** Sets a password and ends all sessions and long-lived tokens. @throws NotFound `account_not_found`; InvalidInput `weak_password` */
  async setPassword(email: string, password: string): Promise<void> {
    const { store, passwords, clock } = this.#deps;
    const account = this.find(email);
    const hash = await passwords.hash(checkNewPassword(password, account.email));
    store.setPassword({ account: account.n, hash, now: clock.now() });
  }

  /**
   * A long-lived access token for programs: a session that cannot be refreshed. It ends with the account's next password.
   *
   * @param expiresMs how long it lives, in milliseconds
   * @throws NotFound `account_not_found`; InvalidInput `invalid_expiry`
   */
  async issueToken(email: string, expiresMs: number): Promise<LongLivedToken> {
    if (!(expiresMs >= 1_000 && expiresMs <= LONGEST_TOKEN_MS)) {
      throw new InvalidInput("invalid_expiry", "a token lives for at least a second and at most a hundred years");
    }
    const { store, signer, clock, random } = this.#deps;
    const account = this.find(email);
    const now = clock.now();
    const expiresAt = now + expiresMs;
    const sessionId = random.uuid();
    store.openSession({ id: sessionId, account: account.n, createdAt: now, expiresAt, refreshHash: null });
    const token = await signer.sign({ tokenId: random.token(12), accountId: account.id, sessionId, expiresAt });
    return { token, expiresAt };
  }

  /** Ends all sessions and long-lived tokens. @returns how many; @throws NotFound `account_not_found` */
  revoke(email: string): number {
    const { store, clock } = this.#deps;
    return store.endSessions(this.find(email).n, clock.now()).length;
  }
}

/**
 * The one way in which accounts come to be.
 *
 * @param account an e-mail that is normalised and a password that has been checked
 * @throws Conflict `email_taken`; TooMany `busy`
 */
export async function createAccount(
  { store, passwords, random, clock }: Pick<AccountAdminDeps, "store" | "passwords" | "random" | "clock">,
  { email, prepared, role }: { readonly email: string; readonly prepared: string; readonly role: Role },
): Promise<Account> {
  // Before the costly hash, and by `create` again after it.
  if (store.byEmail(email)) throw emailTaken();
  const passwordHash = await passwords.hash(prepared);
  const account = store.create({ id: random.uuid(), email, passwordHash, role, createdAt: clock.now() });
  if (!account) throw emailTaken();
  return account;
}

function emailTaken(): Conflict {
  return new Conflict("email_taken", "there is an account with this e-mail already");
}
