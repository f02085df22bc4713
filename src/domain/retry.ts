import type { RetryPolicy } from "./definition.ts";

/**
 * How long to wait after a failed attempt: exponential backoff with full jitter, a random share of
 * min(maxBackoff, backoff * 2^(attempt - 1)), so that tasks that failed together do not return together.
 *
 * @param attempt the attempt that failed, from 1
 * @param fraction a random number in [0, 1)
 * @returns whole milliseconds
 * @see https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
export function backoffMs(policy: RetryPolicy, attempt: number, fraction: number): number {
  const ceiling = Math.min(policy.maxBackoffMs, policy.backoffMs * 2 ** (attempt - 1));
  return Math.round(ceiling * fraction);
}
