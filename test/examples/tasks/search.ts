// Searches a range of numbers for primes: nothing but work for the processor, in pieces of a few milliseconds.
// Shows: exact progress, and a cancel that is heard though it computes. With --slots 1, each thread has one of them at a time.
// artel run search --from 1 --to 100000000 --watch
import { threadId } from "node:worker_threads";
import { NonRetryableError, t, task } from "artel";

/** Numbers in a piece. */
const PIECE = 1_000_000;
const MOST = 1_000_000_000_000;

export default task({
  description: "Counts the primes of a range",
  input: t.Object({
    from: t.Integer({ minimum: 1, maximum: MOST }),
    to: t.Integer({ minimum: 1, maximum: MOST, description: "The last number, which counts as well" }),
  }),
  output: t.Object({ count: t.Integer(), largest: t.Union([t.Integer(), t.Null()]) }),
  timeout: "1h",

  async run({ from, to }, ctx) {
    if (to < from) throw new NonRetryableError("empty_range", "`to` is less than `from`");
    ctx.log.info("on thread", threadId);
    const divisors = primesUpTo(Math.floor(Math.sqrt(to)));
    let count = 0;
    let largest: number | null = null;
    for (let start = from; start <= to; start += PIECE) {
      const end = Math.min(start + PIECE, to + 1);
      const isComposite = sieve(start, end, divisors);
      for (let n = start; n < end; n += 1) {
        if (isComposite[n - start]) continue;
        count += 1;
        largest = n;
      }
      ctx.progress(end - from, to + 1 - from, `${count} primes`);
      // Code that never waits hears of nothing. This lets the thread take messages in, and throws if one says to stop.
      await ctx.sleep(0);
    }
    return { count, largest };
  },
});

/** Of the numbers from `start` to before `end`, marks those that are no primes. */
function sieve(start: number, end: number, divisors: readonly number[]): Uint8Array {
  const isComposite = new Uint8Array(end - start);
  if (start === 1) isComposite[0] = 1;
  for (const divisor of divisors) {
    if (divisor * divisor >= end) break;
    const first = Math.max(divisor * divisor, Math.ceil(start / divisor) * divisor);
    for (let n = first; n < end; n += divisor) isComposite[n - start] = 1;
  }
  return isComposite;
}

function primesUpTo(limit: number): number[] {
  if (limit < 2) return [];
  const isComposite = sieve(1, limit + 1, primesUpTo(Math.floor(Math.sqrt(limit))));
  return Array.from(isComposite.keys(), (index) => index + 1).filter((n) => !isComposite[n - 1]);
}
