import { describe, expect, test } from "bun:test";
import { TooMany } from "../../src/domain/errors.ts";
import { Argon2Passwords } from "../../src/drivers/argon2.ts";

const cheap = (options: { atOnce?: number; waiting?: number } = {}) =>
  new Argon2Passwords({ memoryKiB: 8, passes: 1, ...options });

describe("argon2", () => {
  test("a password verifies against its own hash only", async () => {
    const passwords = cheap();
    const hash = await passwords.hash("correct horse");
    expect(hash).toStartWith("$argon2id$v=19$m=8,t=1,p=1$");
    expect(await passwords.verify("correct horse", hash)).toBe(true);
    expect(await passwords.verify("correct horsf", hash)).toBe(false);
    expect(await passwords.verify("correct horse", undefined)).toBe(false);
  });

  test("by default it costs what Bun's own default costs", async () => {
    const [ours, buns] = [await new Argon2Passwords().hash("x"), await Bun.password.hash("x")];
    expect(ours.split("$").slice(0, 4)).toEqual(buns.split("$").slice(0, 4));
  });

  test("only so many work at once, the next come in order, and beyond the line is refused", async () => {
    const passwords = cheap({ atOnce: 2, waiting: 2 });
    const begun: string[] = [];
    const gate = Promise.withResolvers<void>();
    const enter = (name: string) => () => {
      begun.push(name);
      return gate.promise;
    };
    const working = ["a", "b", "c", "d"].map((name) => passwords.hash("x", enter(name)));
    const refusal = await passwords.verify("x", undefined, enter("e")).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(TooMany);
    expect((refusal as TooMany).code).toBe("busy");
    expect((refusal as TooMany).retryAfterMs).toBeGreaterThan(0);
    expect(begun).toEqual(["a", "b"]);
    gate.resolve();
    await Promise.all(working);
    expect(begun).toEqual(["a", "b", "c", "d"]);
  });

  test("one that is called off at its turn frees its place", async () => {
    const passwords = cheap({ atOnce: 1, waiting: 5 });
    const off = passwords.verify("x", undefined, () => Promise.reject(new Error("called off")));
    const next = passwords.hash("x");
    await expect(off).rejects.toThrow("called off");
    expect(await next).toStartWith("$argon2id$");
    expect(await passwords.hash("y")).toStartWith("$argon2id$");
  });
});
