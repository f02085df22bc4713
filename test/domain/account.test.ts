import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { checkNewPassword, isPossiblePassword, normalizeEmail, preparePassword } from "../../src/domain/account.ts";
import { InvalidInput } from "../../src/domain/errors.ts";

function refusal(work: () => unknown): InvalidInput | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    if (error instanceof InvalidInput) return error;
    throw error;
  }
}

const accepted = (text: string): string | undefined => {
  try {
    return normalizeEmail(text);
  } catch (error) {
    if (error instanceof InvalidInput) return undefined;
    throw error;
  }
};

describe("normalizeEmail", () => {
  test.each([
    ["ada@example.com", "ada@example.com"],
    ["  Ada.Lovelace+Notes@Example.COM\n", "ada.lovelace+notes@example.com"],
    ["JOSE\u0301@example.com", "jos\u00e9@example.com"],
    ["\u0391\u03a3@example.com", "\u03b1\u03c2@example.com"],
    ["ada@B\u00fccher.example", "ada@xn--bcher-kva.example"],
    ["ada@BU\u0308CHER.example", "ada@xn--bcher-kva.example"],
    ["ada@xn--bcher-kva.example", "ada@xn--bcher-kva.example"],
    ["\u7528\u6237@\u4f8b\u3048.jp", "\u7528\u6237@xn--r8jz45g.jp"],
    ["ada@\uff25\uff38\uff21\uff2d\uff30\uff2c\uff25.com", "ada@example.com"],
    [`${"a".repeat(64)}@example.com`, `${"a".repeat(64)}@example.com`],
  ])("%j is %j", (given, normalized) => {
    expect(normalizeEmail(given)).toBe(normalized);
  });

  test.each([
    "",
    "ada",
    "@example.com",
    "ada@",
    "ada@localhost",
    "ada@@example.com",
    "ada@evil.com@",
    "a b@example.com",
    ".ada@example.com",
    "ada.@example.com",
    "a..da@example.com",
    '"ada"@example.com',
    "ada@example..com",
    "ada@.example.com",
    "ada@example.com.",
    "ada@-example.com",
    "ada@exa_mple.com",
    "ada@example.com:25",
    "ada@example.com/x",
    "ada@example.com?x",
    "ada@example.com#x",
    "ada@ex%41mple.com",
    "ada@exa\tmple.com",
    "ada@127.0.0.1",
    "ada@127.1",
    "ada@[127.0.0.1]",
    "ada@[::1]",
    "ada@xn--zzzzzz---.de",
    "ad\u200ba@example.com",
    "ad\u3164a@example.com",
    "ad\u0000a@example.com",
    "ad\ud800a@example.com",
    "ada\u202e@example.com",
    `${"a".repeat(65)}@example.com`,
    `${"\u00e9".repeat(33)}@example.com`,
    `ada@${"a".repeat(64)}.com`,
    `ada@${"a.".repeat(125)}com`,
    "a".repeat(1_000_000),
  ])("%j is none", (given) => {
    const error = refusal(() => normalizeEmail(given));
    expect(error?.code).toBe("invalid_email");
    expect(error?.problems.map(({ path }) => path)).toEqual(["/email"]);
  });

  const somethingLikeAnAddress = fc
    .tuple(fc.string({ unit: "grapheme", minLength: 1 }), fc.oneof(fc.domain(), fc.string({ unit: "grapheme" }), fc.webUrl()))
    .map(([local, domain]) => `${local}@${domain}`);

  test("applying it again changes nothing, and what it gives keeps the rules", () => {
    fc.assert(
      fc.property(fc.oneof(somethingLikeAnAddress, fc.emailAddress(), fc.string({ unit: "binary" })), (text) => {
        const once = accepted(text);
        if (once === undefined) return;
        expect(normalizeEmail(once)).toBe(once);
        expect(once).toBe(once.normalize("NFC").toLowerCase());
        expect(new TextEncoder().encode(once).length).toBeLessThanOrEqual(254);
        expect(once).toMatch(/^[^@\s]+@[a-z0-9.-]+$/);
      }),
      { numRuns: 2_000 },
    );
  });

  test("neither case, nor surrounding spaces, nor Unicode's ways of writing make another account", () => {
    fc.assert(
      fc.property(fc.emailAddress(), fc.constantFrom("NFC", "NFD"), (address, form) => {
        const once = accepted(address);
        if (once === undefined) return;
        expect(accepted(` ${address.toUpperCase().normalize(form)}\t`)).toBe(once);
      }),
    );
    expect(normalizeEmail("JOSE\u0301@example.com")).toBe(normalizeEmail("Jos\u00c9@EXAMPLE.com"));
  });
});

describe("passwords", () => {
  test("what is typed on another system is the same password", () => {
    expect(preparePassword("pa\u0308ss word")).toBe(preparePassword("p\u00e4ss\u00a0word"));
    expect(preparePassword("Case")).not.toBe(preparePassword("case"));
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        expect(preparePassword(preparePassword(text))).toBe(preparePassword(text));
        expect(preparePassword(text.normalize("NFD"))).toBe(preparePassword(text));
      }),
    );
  });

  test("length counts characters as people do, not bytes, and after NFC", () => {
    expect(isPossiblePassword("1234567")).toBe(false);
    expect(isPossiblePassword("12345678")).toBe(true);
    expect(refusal(() => checkNewPassword("\u{1f511}".repeat(7), "ada@example.com"))?.code).toBe("weak_password");
    expect(refusal(() => checkNewPassword("e\u0301a\u0301o\u0301i\u0301", "ada@example.com"))?.code).toBe("weak_password");
    expect(
      checkNewPassword("\u{1f511}\u{1f512}\u{1f513}\u{1f514}\u{1f515}\u{1f516}\u{1f517}\u{1f520}", "ada@example.com"),
    ).toHaveLength(16);
    expect(checkNewPassword("xy z".repeat(256), "ada@example.com")).toHaveLength(1_024);
    expect(refusal(() => checkNewPassword(`${"xy z".repeat(256)}!`, "ada@example.com"))?.code).toBe("weak_password");
  });

  test.each([
    "",
    "short",
    "        ",
    "password",
    "PASSWORD",
    "Password123",
    "qwertyuiop",
    "12345678",
    "3456789:",
    "87654321",
    "hgfedcba",
    "aaaaaaaaaa",
    "abababababab",
    "Ada.Lovelace@example.com",
    "ADA.Lovelace",
    "tab\tinside it",
    "nul\u0000 inside",
    "lone \ud800 surrogate",
  ])("%j is refused as weak, without being repeated", (password) => {
    const error = refusal(() => checkNewPassword(password, "ada.lovelace@example.com", "/new_password"));
    expect(error?.code).toBe("weak_password");
    expect(error?.problems.map(({ path }) => path)).toEqual(["/new_password"]);
    if (!["", "password"].includes(password.trim()))
      expect(JSON.stringify([error?.message, error?.problems])).not.toContain(password);
  });

  test("an ordinary one is taken as it is", () => {
    expect(checkNewPassword("correct horse battery", "ada@example.com")).toBe("correct horse battery");
  });
});
