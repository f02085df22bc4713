import {
  type Account,
  checkNewPassword,
  type Identity,
  isPossiblePassword,
  normalizeEmail,
  preparePassword,
} from "../domain/account.ts";
import { Conflict, Forbidden, InvalidInput, Unauthorized } from "../domain/errors.ts";
import type { AccountStore } from "../ports/accounts.ts";
import type { Passwords } from "../ports/passwords.ts";
import type { Clock, Random } from "../ports/runtime.ts";
import type { TokenSigner } from "../ports/tokens.ts";
import { createAccount } from "./account-admin.ts";
import { Identities } from "./identities.ts";
import type { Limits } from "./limits.ts";
import { type WsTicket, WsTickets } from "./ws-tickets.ts";

export interface AccountsDeps {
  readonly store: AccountStore;
  readonly passwords: Passwords;
  readonly signer: TokenSigner;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly random: Random;
  /** Verified access tokens that are remembered; 50,000 by default. */
  readonly cacheSize?: number;
}

export interface Credentials {
  readonly email: string;
  readonly password: string;
}

/** What a login or refresh gives. */
export interface TokenPair {
  readonly accessToken: string;
  readonly refreshToken: string;
  /** Seconds until the access token ends. */
  readonly expiresIn: number;
}

const ACCESS_MS = 15 * 60_000;
/** Sliding: counted from the last refresh. */
const SESSION_MS = 30 * 86_400_000;
const REFRESH_BYTES = 32;
/** Stands for every address that no account can have, so that those are limited too. */
const NOBODY = "?";

/** Accounts, their sessions, and whom a token speaks for. `address` is always the client's, as limits see it. */
export class Accounts {
  readonly #deps: AccountsDeps;
  readonly #identities: Identities;
  readonly #tickets: WsTickets;

  constructor(deps: AccountsDeps) {
    this.#deps = deps;
    this.#identities = new Identities(deps);
    this.#tickets = new WsTickets({ identities: this.#identities, clock: deps.clock, random: deps.random });
  }

  /**
   * @throws InvalidInput `invalid_email`, `weak_password`; Conflict `email_taken`; TooMany `rate_limited`, `busy`
   */
  async register({ email, password }: Credentials, address: string): Promise<Account> {
    const normalized = normalizeEmail(email);
    const prepared = checkNewPassword(password, normalized);
    await this.#deps.limits.registration(address);
    return createAccount(this.#deps, { email: normalized, prepared, role: "user" });
  }

  /** @throws Unauthorized `invalid_credentials`; TooMany `rate_limited`, `busy` */
  async login({ email, password }: Credentials, address: string): Promise<TokenPair> {
    const name = emailOrNobody(email);
    const account = this.#deps.store.byEmail(name);
    if (!(await this.#check(password, account?.passwordHash, name, address)) || !account) throw invalidCredentials();
    return this.#openSession(account);
  }

  /**
   * Spends a refresh token; a spent one that comes back ends its session, for one of its two holders is a thief.
   *
   * @throws Unauthorized `invalid_refresh_token`; TooMany `rate_limited`
   */
  async refresh(refreshToken: string, address: string): Promise<TokenPair> {
    await this.#deps.limits.refresh(address);
    const next = this.#deps.random.token(REFRESH_BYTES);
    const now = this.#deps.clock.now();
    const outcome = this.#deps.store.rotate(hashOf(refreshToken), hashOf(next), now, now + SESSION_MS);
    if (outcome.kind === "rotated") return this.#pair(outcome.session.id, outcome.session.account, next, now);
    if (outcome.kind === "reused") this.#identities.ended([outcome.sessionId]);
    throw new Unauthorized(
      "invalid_refresh_token",
      "the refresh token is not valid, has been used, or its session has ended: log in again",
    );
  }

  logout(identity: Identity): void {
    if (this.#deps.store.revokeSession(identity.sessionId, this.#deps.clock.now())) this.#identities.ended([identity.sessionId]);
  }

  /** @throws Unauthorized `invalid_token` when the account is no more */
  me(identity: Identity): Account {
    const account = this.#deps.store.byKey(identity.accountKey);
    if (!account) throw new Unauthorized("invalid_token", "the account of this token does not exist");
    return account;
  }

  /**
   * Changes the password and ends the account's other sessions.
   *
   * @throws InvalidInput `weak_password`; Forbidden `wrong_password`; Conflict `password_changed` when somebody was
   *   faster; Unauthorized `invalid_token`; TooMany `rate_limited`, `busy`
   */
  async changePassword(identity: Identity, current: string, next: string, address: string): Promise<void> {
    const { store, passwords, clock } = this.#deps;
    const account = store.byKey(identity.accountKey);
    if (!account) throw new Unauthorized("invalid_token", "the account of this token does not exist");
    const prepared = checkNewPassword(next, account.email, "/new_password");
    if (!(await this.#check(current, account.passwordHash, account.email, address))) {
      throw new Forbidden("wrong_password", "the current password is wrong");
    }
    const hash = await passwords.hash(prepared);
    // The session may have ended while the hash was made.
    this.#identities.current(identity);
    const ended = store.setPassword({
      account: account.n,
      hash,
      ifPasswordHash: account.passwordHash,
      keep: identity.sessionId,
      now: clock.now(),
    });
    if (!ended) throw new Conflict("password_changed", "the password was changed by another request at the same time");
    this.#identities.ended(ended);
  }

  /** @throws TooMany `too_many_tickets` */
  issueTicket(identity: Identity): WsTicket {
    return this.#tickets.issue(identity);
  }

  /** Spends a ticket. @throws Unauthorized `invalid_ticket`, `invalid_token` */
  redeemTicket(ticket: string): Identity {
    return this.#tickets.redeem(ticket);
  }

  /** Whom an access token speaks for; see `Identities.authenticate`. At once when the token is known. */
  authenticate(token: string): Identity | Promise<Identity> {
    return this.#identities.authenticate(token);
  }

  /** Tells of every session that ends before its time. @returns how to stop listening */
  onSessionEnded(listener: (sessionId: string) => void): () => void {
    return this.#identities.onSessionEnded(listener);
  }

  /** While held, `refreshFromStore` looks after the session; for each open socket. @returns how to let go; idempotent */
  holdSession(sessionId: string): () => void {
    return this.#identities.hold(sessionId);
  }

  /** To be called when another process has written the database: passwords, roles and sessions may have changed. */
  refreshFromStore(): void {
    this.#identities.refreshFromStore();
  }

  /** @param id UUIDv7 */
  find(id: string): Account | undefined {
    return this.#deps.store.byId(id);
  }

  /**
   * Removes what has ended and what is too old to be reused: to be called now and then.
   *
   * @returns how many rows went; as many as `limit` or more means that there may be others
   */
  purge(limit: number): number {
    const now = this.#deps.clock.now();
    return this.#deps.store.purgeSessions(now, limit) + this.#deps.store.purgeSpentTokens(now - SESSION_MS, limit);
  }

  /** One limited try of a password. As much work for an account that does not exist. */
  async #check(password: string, hash: string | undefined, email: string, address: string): Promise<boolean> {
    const attempt = this.#deps.limits.login(email, address);
    await attempt.check();
    const prepared = preparePassword(password);
    const right = await this.#deps.passwords.verify(prepared, isPossiblePassword(prepared) ? hash : undefined, () =>
      attempt.admit(),
    );
    if (right) await attempt.succeed();
    return right;
  }

  async #openSession(account: Account & { readonly passwordHash: string }): Promise<TokenPair> {
    const { store, random, clock } = this.#deps;
    const id = random.uuid();
    const refreshToken = random.token(REFRESH_BYTES);
    const now = clock.now();
    // The hash that was checked: a password that was changed meanwhile opens nothing.
    const session = {
      id,
      account: account.n,
      createdAt: now,
      expiresAt: now + SESSION_MS,
      refreshHash: hashOf(refreshToken),
      ifPasswordHash: account.passwordHash,
    };
    if (!store.openSession(session)) throw invalidCredentials();
    return this.#pair(id, account, refreshToken, now);
  }

  async #pair(sessionId: string, account: Account, refreshToken: string, now: number): Promise<TokenPair> {
    const accessToken = await this.#identities.issue({ id: sessionId }, account, now + ACCESS_MS);
    return { accessToken, refreshToken, expiresIn: ACCESS_MS / 1_000 };
  }
}

function emailOrNobody(email: string): string {
  try {
    return normalizeEmail(email);
  } catch (error) {
    if (error instanceof InvalidInput) return NOBODY;
    throw error;
  }
}

/** The tokens are random and long: a plain hash of them cannot be reversed. */
function hashOf(token: string): string {
  return new Bun.CryptoHasher("sha256").update(token).digest("base64url");
}

function invalidCredentials(): Unauthorized {
  return new Unauthorized("invalid_credentials", "the e-mail or the password is wrong");
}
