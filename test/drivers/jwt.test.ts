import { describe, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { jwtSigner } from "../../src/drivers/jwt.ts";
import { ManualClock } from "../support/manual-runtime.ts";

const SECRET = "a secret of the tests, long enough";
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** A JWT by hand, with whatever header and claims. */
function forge(header: object, claims: object, secret = SECRET, digest = "sha256"): string {
  const signed = `${encode(header)}.${encode(claims)}`;
  return `${signed}.${createHmac(digest, secret).update(signed).digest("base64url")}`;
}

async function fixture() {
  const clock = new ManualClock();
  const signer = await jwtSigner(SECRET, clock);
  const claims = { tokenId: "t", accountId: "a", sessionId: "s", expiresAt: clock.now() + 60_000 };
  const raw = { jti: "t", sub: "a", sid: "s", exp: claims.expiresAt / 1_000, iss: "artel", aud: "artel" };
  return { clock, signer, claims, raw };
}

describe("access tokens", () => {
  test("what was signed is read back, until it expires by the given clock", async () => {
    const { clock, signer, claims } = await fixture();
    const token = await signer.sign(claims);
    expect(await signer.verify(token)).toEqual(claims);
    clock.advance(59_999);
    expect(await signer.verify(token)).toEqual(claims);
    clock.advance(1);
    expect(await signer.verify(token)).toBeUndefined();
  });

  test("a token by hand in the same form is accepted: the refusals below are each for their own reason", async () => {
    const { signer, claims, raw } = await fixture();
    expect(await signer.verify(forge({ alg: "HS256", typ: "at+jwt" }, raw))).toEqual(claims);
  });

  test.each(["HS384", "HS512", "none"])("algorithm %s is refused", async (alg) => {
    const { signer, raw } = await fixture();
    const digest = alg === "none" ? "sha256" : alg.replace("HS", "sha");
    expect(await signer.verify(forge({ alg, typ: "at+jwt" }, raw, SECRET, digest))).toBeUndefined();
    expect(await signer.verify(`${encode({ alg, typ: "at+jwt" })}.${encode(raw)}.`)).toBeUndefined();
  });

  test.each([
    ["another secret", {}, {}, "another secret of at least that length"],
    ["another type", { typ: "JWT" }, {}, SECRET],
    ["no type", { typ: undefined }, {}, SECRET],
    ["another issuer", {}, { iss: "other" }, SECRET],
    ["another audience", {}, { aud: "other" }, SECRET],
    ["no audience", {}, { aud: undefined }, SECRET],
    ["no end", {}, { exp: undefined }, SECRET],
    ["no subject", {}, { sub: undefined }, SECRET],
    ["no session", {}, { sid: undefined }, SECRET],
    ["a session that is no text", {}, { sid: 7 }, SECRET],
  ])("%s is refused", async (_, header, claims, secret) => {
    const { signer, raw } = await fixture();
    expect(await signer.verify(forge({ alg: "HS256", typ: "at+jwt", ...header }, { ...raw, ...claims }, secret))).toBeUndefined();
  });

  test.each(["", "x", "a.b.c", "....", "\u0000"])("%j is refused", async (token) => {
    const { signer } = await fixture();
    expect(await signer.verify(token)).toBeUndefined();
  });

  test("a changed token is refused", async () => {
    const { signer, claims } = await fixture();
    const [head, , tail] = (await signer.sign(claims)).split(".");
    const changed = encode({ jti: "t", sub: "somebody else", sid: "s", exp: claims.expiresAt, iss: "artel", aud: "artel" });
    expect(await signer.verify(`${head}.${changed}.${tail}`)).toBeUndefined();
  });
});
