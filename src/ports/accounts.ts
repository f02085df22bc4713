import type { Account, Role } from "../domain/account.ts";

/** A login or long-lived token; while it is live its access tokens count. */
export interface Session {
  readonly id: string;
  readonly account: Account;
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly revokedAt: number | null;
}

/** What came of presenting a refresh token. */
export type RefreshOutcome =
  | { readonly kind: "rotated"; readonly session: Session }
  /** The token had been spent before: somebody else may hold it, so its session has just been ended. */
  | { readonly kind: "reused"; readonly sessionId: string }
  | { readonly kind: "unknown" };

/** Where accounts and sessions are kept. Every call is one synchronous transaction. */
export interface AccountStore {
  /** @returns undefined when the e-mail is taken */
  create(account: { id: string; email: string; passwordHash: string; role: Role; createdAt: number }): Account | undefined;
  byEmail(email: string): (Account & { readonly passwordHash: string }) | undefined;
  byId(id: string): Account | undefined;
  byKey(n: number): Account | undefined;
  passwordHash(n: number): string | undefined;
  setPassword(n: number, passwordHash: string): void;
  setRole(n: number, role: Role): void;

  openSession(session: { id: string; account: number; createdAt: number; expiresAt: number; refreshHash: string | null }): void;
  /** The session whatever its state; the caller checks expiry and revocation. */
  session(id: string): Session | undefined;
  /** Spends `hash` and puts `nextHash` in its place; `now` must be inside the session's life. */
  rotate(hash: string, nextHash: string, now: number, expiresAt: number): RefreshOutcome;
  revokeSession(id: string, now: number): void;
  /** Ends all live sessions of an account but `keep`. @returns the ids of those it ended */
  revokeSessions(account: number, now: number, keep?: string): string[];
  /** Removes up to `limit` sessions (with their refresh tokens) that ended before `before`. @returns how many */
  purgeSessions(before: number, limit: number): number;
}
