// By their own files: the package's index loads its drivers for a dozen databases.
import RateLimiterMemory from "rate-limiter-flexible/lib/RateLimiterMemory.js";
import RateLimiterRes from "rate-limiter-flexible/lib/RateLimiterRes.js";
import { TooMany } from "../domain/errors.ts";

export interface Allowance {
  /** How often within the window. */
  readonly times: number;
  /** Counted from the first time on. */
  readonly windowMs: number;
}

export interface LimitSettings {
  /** Registrations of one address. */
  readonly registration: Allowance;
  /** Failed logins to one account from one address, to one account, and from one address. */
  readonly loginPair: Allowance;
  readonly loginAccount: Allowance;
  readonly loginAddress: Allowance;
  /** Refreshes from one address; those are cheap. */
  readonly refresh: Allowance;
}

const MINUTE_MS = 60_000;

export const DEFAULT_LIMITS: LimitSettings = {
  registration: { times: 120, windowMs: 10 * MINUTE_MS },
  loginPair: { times: 10, windowMs: 15 * MINUTE_MS },
  loginAccount: { times: 100, windowMs: 15 * MINUTE_MS },
  loginAddress: { times: 300, windowMs: 15 * MINUTE_MS },
  refresh: { times: 6_000, windowMs: 10 * MINUTE_MS },
};

interface Counter {
  readonly limiter: RateLimiterMemory;
  readonly key: string;
}

/** How often accounts may be tried. Kept in memory: a restart forgets it, and nothing is written for an attacker. */
export class Limits {
  readonly #limiters: Readonly<Record<keyof LimitSettings, RateLimiterMemory>>;

  constructor(settings: Partial<LimitSettings> = {}) {
    const { registration, loginPair, loginAccount, loginAddress, refresh } = { ...DEFAULT_LIMITS, ...settings };
    this.#limiters = {
      registration: limiter(registration),
      loginPair: limiter(loginPair),
      loginAccount: limiter(loginAccount),
      loginAddress: limiter(loginAddress),
      refresh: limiter(refresh),
    };
  }

  /** @throws TooMany `rate_limited` */
  async registration(address: string): Promise<void> {
    await consume([{ limiter: this.#limiters.registration, key: address }]);
  }

  /** @throws TooMany `rate_limited` */
  async refresh(address: string): Promise<void> {
    await consume([{ limiter: this.#limiters.refresh, key: address }]);
  }

  /** @param account the e-mail as normalised, whether there is such an account or not */
  login(account: string, address: string): LoginAttempt {
    return new LoginAttempt(
      { limiter: this.#limiters.loginPair, key: `${address} ${account}` },
      { limiter: this.#limiters.loginAccount, key: account },
      { limiter: this.#limiters.loginAddress, key: address },
    );
  }
}

/** One try of a password. It counts as failed from `admit` until `succeed`, so that tries at the same time cannot pass the limit together. */
export class LoginAttempt {
  readonly #pair: Counter;
  readonly #others: readonly Counter[];

  constructor(pair: Counter, ...others: Counter[]) {
    this.#pair = pair;
    this.#others = others;
  }

  /**
   * Counts nothing: for turning away before any work is done.
   *
   * @throws TooMany `rate_limited`
   */
  async check(): Promise<void> {
    for (const { limiter, key } of [this.#pair, ...this.#others]) {
      const state = await limiter.get(key);
      // Its timer may be late: `get` also gives what has expired.
      if (state !== null && state.msBeforeNext > 0 && state.consumedPoints >= limiter.points) throw rateLimited([state]);
    }
  }

  /** @throws TooMany `rate_limited` */
  admit(): Promise<void> {
    return consume([this.#pair, ...this.#others]);
  }

  /** Clears what failed between this account and this address before, and takes this try off the other counts. */
  async succeed(): Promise<void> {
    await this.#pair.limiter.delete(this.#pair.key);
    await giveBack(this.#others);
  }
}

function limiter({ times, windowMs }: Allowance): RateLimiterMemory {
  return new RateLimiterMemory({ points: times, duration: windowMs / 1_000 });
}

/** From all counters or from none: who is refused by one must not use up the others, which may be other people's. */
async function consume(counters: readonly Counter[]): Promise<void> {
  const outcomes = await Promise.allSettled(counters.map(({ limiter, key }) => limiter.consume(key)));
  const refusals = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason as unknown] : []));
  if (refusals.length === 0) return;
  await giveBack(counters);
  throw rateLimited(refusals);
}

async function giveBack(counters: readonly Counter[]): Promise<void> {
  for (const { limiter, key } of counters) await limiter.reward(key);
}

function rateLimited(states: readonly unknown[]): TooMany {
  const waits = states.map((state) => (state instanceof RateLimiterRes ? state.msBeforeNext : 0));
  return new TooMany("rate_limited", "too many attempts: wait a while before the next", Math.max(1_000, ...waits));
}
