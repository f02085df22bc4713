import { afterEach, beforeEach, describe, expect, setSystemTime, test } from "bun:test";
import { TooMany } from "../../src/domain/errors.ts";
import { Limits } from "../../src/services/limits.ts";

const MINUTE_MS = 60_000;
const START = Date.UTC(2026, 0, 1);

// The limiter has its own clock.
beforeEach(() => void setSystemTime(START));
afterEach(() => void setSystemTime());

async function refusal(work: Promise<void>): Promise<TooMany | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    if (error instanceof TooMany) return error;
    throw error;
  }
}

async function fail(limits: Limits, account: string, address: string): Promise<boolean> {
  const attempt = limits.login(account, address);
  return (await refusal(attempt.check())) === undefined && (await refusal(attempt.admit())) === undefined;
}

describe("limits", () => {
  test("registrations are counted by address, and again after ten minutes", async () => {
    const limits = new Limits();
    for (let i = 0; i < 120; i += 1) await limits.registration("a");
    setSystemTime(START + 9 * MINUTE_MS);
    const error = await refusal(limits.registration("a"));
    expect(error?.code).toBe("rate_limited");
    expect(error?.retryAfterMs).toBe(MINUTE_MS);
    expect(await refusal(limits.registration("b"))).toBeUndefined();
    setSystemTime(START + 10 * MINUTE_MS);
    expect(await refusal(limits.registration("a"))).toBeUndefined();
  });

  test("ten failed logins of an account from an address, then no more for a quarter of an hour", async () => {
    const limits = new Limits();
    for (let i = 0; i < 10; i += 1) expect(await fail(limits, "ada", "a")).toBe(true);
    expect(await fail(limits, "ada", "a")).toBe(false);
    expect(await fail(limits, "ada", "b")).toBe(true);
    expect(await fail(limits, "bob", "a")).toBe(true);
    setSystemTime(START + 15 * MINUTE_MS);
    expect(await fail(limits, "ada", "a")).toBe(true);
  });

  test("a hundred for an account from everywhere, three hundred from an address to everyone", async () => {
    const limits = new Limits();
    for (let i = 0; i < 100; i += 1) expect(await fail(limits, "ada", `a${i}`)).toBe(true);
    expect(await fail(limits, "ada", "new")).toBe(false);
    for (let i = 0; i < 300; i += 1) expect(await fail(limits, `account ${i}`, "b")).toBe(true);
    expect(await fail(limits, "new", "b")).toBe(false);
  });

  test("who is refused from one address does not use up the account's limit for others", async () => {
    const limits = new Limits();
    for (let i = 0; i < 500; i += 1) {
      const attempt = limits.login("ada", "attacker");
      await refusal(attempt.admit());
    }
    for (let i = 0; i < 90; i += 1) expect(await fail(limits, "ada", `a${i}`)).toBe(true);
    expect(await fail(limits, "ada", "one more")).toBe(false);
  });

  test("success clears the count between account and address, and counts as no failure anywhere", async () => {
    const limits = new Limits();
    for (let i = 0; i < 9; i += 1) await fail(limits, "ada", "a");
    for (let i = 0; i < 1_000; i += 1) {
      const attempt = limits.login("ada", "a");
      await attempt.check();
      await attempt.admit();
      await attempt.succeed();
    }
    for (let i = 0; i < 10; i += 1) expect(await fail(limits, "ada", "a")).toBe(true);
    expect(await fail(limits, "ada", "a")).toBe(false);
  });

  test("tries at the same time cannot pass the limit together", async () => {
    const limits = new Limits();
    const attempts = Array.from({ length: 50 }, () => limits.login("ada", "a"));
    await Promise.all(attempts.map((attempt) => attempt.check()));
    const admitted = await Promise.all(attempts.map(async (attempt) => (await refusal(attempt.admit())) === undefined));
    expect(admitted.filter(Boolean)).toHaveLength(10);
  });

  test("refreshes are limited by address", async () => {
    const limits = new Limits({ refresh: { times: 2, windowMs: MINUTE_MS } });
    await limits.refresh("a");
    await limits.refresh("a");
    expect((await refusal(limits.refresh("a")))?.code).toBe("rate_limited");
    await limits.refresh("b");
  });
});
