import type { Account, Role } from "../domain/account.ts";

/** A login or long-lived token; while it is live its access tokens count. Times are milliseconds since 1970 UTC. */
export interface Session {
  readonly id: string;
  readonly account: Account;
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly revokedAt: number | null;
}

export interface NewSession {
  readonly id: string;
  /** The account's integer key. */
  readonly account: number;
  readonly createdAt: number;
  readonly expiresAt: number;
  /** Null for a long-lived token, which cannot be refreshed. */
  readonly refreshHash: string | null;
  /** Open it only while the account's password hash still is this one: it was checked a while ago. */
  readonly ifPasswordHash?: string;
}

export interface PasswordChange {
  /** The account's integer key. */
  readonly account: number;
  readonly hash: string;
  /** Change it only while the hash still is this one. */
  readonly ifPasswordHash?: string;
  /** The session that stays. */
  readonly keep?: string;
  readonly now: number;
}

/** What came of presenting a refresh token. */
export type RefreshOutcome =
  | { readonly kind: "rotated"; readonly session: Session }
  /** The token had been spent before: somebody else may hold it, so its session has just been ended. */
  | { readonly kind: "reused"; readonly sessionId: string }
  | { readonly kind: "unknown" };

/**
 * Where accounts and sessions are kept. Every call is one synchronous transaction; any may throw
 * Unavailable `storage_unavailable`, and has then stored nothing.
 */
export interface AccountStore {
  /** @returns undefined when the e-mail is taken */
  create(account: { id: string; email: string; passwordHash: string; role: Role; createdAt: number }): Account | undefined;
  byEmail(email: string): (Account & { readonly passwordHash: string }) | undefined;
  byId(id: string): Account | undefined;
  byKey(n: number): (Account & { readonly passwordHash: string }) | undefined;
  /** Ends the account's live sessions in the same step. @returns the ids of those; undefined when the hash was another one */
  setPassword(change: PasswordChange): string[] | undefined;
  setRole(n: number, role: Role): void;

  /** @returns false when the password hash was another one: nothing was opened */
  openSession(session: NewSession): boolean;
  /** The session whatever its state; domain `isLive` tells it. */
  session(id: string): Session | undefined;
  /** Spends `hash`, puts `nextHash` in its place and prolongs the session. Tokens of sessions that have ended are unknown. */
  rotate(hash: string, nextHash: string, now: number, expiresAt: number): RefreshOutcome;
  /** @returns false when it had ended before */
  revokeSession(id: string, now: number): boolean;
  /** Ends the account's live sessions. @returns their ids */
  endSessions(account: number, now: number): string[];
  /** Those of `ids` that are not live (or are not there). */
  endedAmong(ids: readonly string[], now: number): string[];

  /** Removes up to `limit` sessions (with their refresh tokens) that ended before `before`. @returns how many */
  purgeSessions(before: number, limit: number): number;
  /** Looks at the oldest `limit` refresh tokens and removes those spent before `before`. @returns how many */
  purgeSpentTokens(before: number, limit: number): number;
}
