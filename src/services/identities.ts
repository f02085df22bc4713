import { type Account, type Identity, isLive } from "../domain/account.ts";
import { Unauthorized } from "../domain/errors.ts";
import type { AccountStore, Session } from "../ports/accounts.ts";
import type { Clock, Random } from "../ports/runtime.ts";
import type { AccessClaims, TokenSigner } from "../ports/tokens.ts";

export interface IdentitiesDeps {
  readonly store: Pick<AccountStore, "session" | "endedAmong">;
  readonly signer: TokenSigner;
  readonly clock: Clock;
  readonly random: Random;
  /** Verified tokens that are remembered; the oldest is forgotten first. */
  readonly cacheSize?: number;
}

const CACHE_SIZE = 50_000;
/** Longer than any token that was ever signed here; keeps megabytes of header from being decoded. */
const TOKEN_MAX = 2_048;

/** What the cached tokens of one session share. */
interface Group {
  ended: boolean;
  tokens: number;
}

interface Entry {
  readonly identity: Identity;
  readonly group: Group;
}

/**
 * Whom an access token speaks for. A token's signature is checked once and its session looked up once; after that it
 * is one look into a Map, until the token expires or the session ends.
 */
export class Identities {
  readonly #deps: IdentitiesDeps;
  readonly #cacheSize: number;
  readonly #entries = new Map<string, Entry>();
  readonly #groups = new Map<string, Group>();
  /** Sessions that something open depends on, and how many such things. */
  readonly #held = new Map<string, number>();
  readonly #listeners = new Set<(sessionId: string) => void>();

  constructor(deps: IdentitiesDeps) {
    this.#deps = deps;
    this.#cacheSize = deps.cacheSize ?? CACHE_SIZE;
  }

  /** An access token of a live session. */
  issue(session: Pick<Session, "id">, account: Pick<Account, "id">, expiresAt: number): Promise<string> {
    return this.#deps.signer.sign({
      tokenId: this.#deps.random.token(12),
      accountId: account.id,
      sessionId: session.id,
      expiresAt,
    });
  }

  /**
   * @returns at once for a token that is known; else a promise
   * @throws Unauthorized `invalid_token`, thrown or as a rejection
   */
  authenticate(token: string): Identity | Promise<Identity> {
    const entry = this.#entries.get(token);
    if (entry === undefined) return this.#verify(token);
    if (!entry.group.ended && entry.identity.expiresAt > this.#deps.clock.now()) return entry.identity;
    this.#forget(token, entry);
    throw invalidToken();
  }

  /**
   * The identity as the store has it now, with the role and the end of the session of this moment.
   *
   * @throws Unauthorized `invalid_token` when its session has ended
   */
  current(identity: Identity): Identity {
    return this.#identify(identity);
  }

  /** Tells of sessions that ended before their time. @returns how to stop listening */
  onSessionEnded(listener: (sessionId: string) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** As long as a session is held, its end is noticed also when another process ends it. @returns how to let go; idempotent */
  hold(sessionId: string): () => void {
    this.#held.set(sessionId, (this.#held.get(sessionId) ?? 0) + 1);
    let holding = true;
    return () => {
      if (!holding) return;
      holding = false;
      const others = (this.#held.get(sessionId) ?? 1) - 1;
      if (others > 0) this.#held.set(sessionId, others);
      else this.#held.delete(sessionId);
    };
  }

  /** To be told of every session that was ended in the store. */
  ended(sessionIds: readonly string[]): void {
    for (const id of sessionIds) {
      const group = this.#groups.get(id);
      if (group) group.ended = true;
      this.#groups.delete(id);
      for (const listener of this.#listeners) listener(id);
    }
  }

  /** Roles have changed: each token is looked up again at its next use. */
  forgetAll(): void {
    this.#entries.clear();
    this.#groups.clear();
  }

  /** Another process wrote: nothing cached counts any more, and held sessions may have ended. */
  refreshFromStore(): void {
    this.forgetAll();
    if (this.#held.size > 0) this.ended(this.#deps.store.endedAmong([...this.#held.keys()], this.#deps.clock.now()));
  }

  async #verify(token: string): Promise<Identity> {
    const claims = token.length <= TOKEN_MAX ? await this.#deps.signer.verify(token) : undefined;
    if (claims === undefined) throw invalidToken();
    // Nothing may come between the look into the store and remembering what it said: no await below.
    const identity = this.#identify(claims);
    this.#remember(token, identity);
    return identity;
  }

  #identify({ accountId, sessionId, expiresAt }: Pick<AccessClaims, "accountId" | "sessionId" | "expiresAt">): Identity {
    const now = this.#deps.clock.now();
    const session = this.#deps.store.session(sessionId);
    if (!session || !isLive(session, now) || session.account.id !== accountId || expiresAt <= now) throw invalidToken();
    const { n, id, role } = session.account;
    return { accountKey: n, accountId: id, role, sessionId, expiresAt: Math.min(expiresAt, session.expiresAt) };
  }

  #remember(token: string, identity: Identity): void {
    if (this.#entries.has(token)) return;
    if (this.#entries.size >= this.#cacheSize) this.#forgetOldest();
    const group = this.#groups.get(identity.sessionId) ?? { ended: false, tokens: 0 };
    group.tokens += 1;
    this.#groups.set(identity.sessionId, group);
    this.#entries.set(token, { identity, group });
  }

  #forgetOldest(): void {
    for (const [token, entry] of this.#entries) {
      this.#forget(token, entry);
      return;
    }
  }

  #forget(token: string, { identity, group }: Entry): void {
    this.#entries.delete(token);
    group.tokens -= 1;
    if (group.tokens === 0 && this.#groups.get(identity.sessionId) === group) this.#groups.delete(identity.sessionId);
  }
}

function invalidToken(): Unauthorized {
  return new Unauthorized("invalid_token", "the access token is not valid, has expired, or its session has ended");
}
