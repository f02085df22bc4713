/** What an access token says. */
export interface AccessClaims {
  /** Makes two tokens of one session differ. */
  readonly tokenId: string;
  readonly accountId: string;
  readonly sessionId: string;
  /** Milliseconds since 1970 UTC; carried in whole seconds. */
  readonly expiresAt: number;
}

/** Signs and checks access tokens; whether their session is live is not its business. */
export interface TokenSigner {
  sign(claims: AccessClaims): Promise<string>;
  /** @returns undefined for anything that this signer did not sign for this use, and for what has expired */
  verify(token: string): Promise<AccessClaims | undefined>;
}
