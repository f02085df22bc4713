import { jwt } from "@elysiajs/jwt";
import type { Clock } from "../ports/runtime.ts";
import type { AccessClaims, TokenSigner } from "../ports/tokens.ts";

const ALGORITHM = "HS256";
const ISSUER = "artel";
const AUDIENCE = "artel";
/** RFC 9068's type of an access token: nothing else that the secret may sign one day passes for one. */
const TYPE = "at+jwt";

/**
 * Access tokens as JWTs. Of the plugin only `sign` and `verify` are used, here at its one place of use:
 * the algorithm and the checks are the same for HTTP, WebSocket and the command line.
 *
 * @param secret at least 32 characters
 */
export async function jwtSigner(secret: string, clock: Clock): Promise<TokenSigner> {
  // Imported once; from a string it would be imported again for every token.
  const key = await crypto.subtle.importKey("raw", new TextEncoder().encode(secret), { name: "HMAC", hash: "SHA-256" }, false, [
    "sign",
    "verify",
  ]);
  const tokens = jwt({ name: "tokens", secret: key, alg: ALGORITHM, typ: TYPE, iss: ISSUER, aud: AUDIENCE }).decorator.tokens;

  return {
    // `iat` would be the plugin's own clock's; no check needs it.
    sign: ({ tokenId, accountId, sessionId, expiresAt }: AccessClaims) =>
      tokens.sign({ jti: tokenId, sub: accountId, sid: sessionId, exp: Math.floor(expiresAt / 1_000), iat: false }),

    async verify(token) {
      const claims = await tokens.verify(token, {
        algorithms: [ALGORITHM],
        typ: TYPE,
        issuer: ISSUER,
        audience: AUDIENCE,
        requiredClaims: ["jti", "sub", "sid", "exp"],
        currentDate: new Date(clock.now()),
      });
      return claims === false ? undefined : readClaims(claims);
    },
  };
}

function readClaims({
  jti,
  sub,
  sid,
  exp,
}: {
  jti?: unknown;
  sub?: unknown;
  sid?: unknown;
  exp?: unknown;
}): AccessClaims | undefined {
  if (typeof jti !== "string" || typeof sub !== "string" || typeof sid !== "string" || typeof exp !== "number") return undefined;
  return { tokenId: jti, accountId: sub, sessionId: sid, expiresAt: exp * 1_000 };
}
