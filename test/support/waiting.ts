/** How long a whole test of the executable may take on a busy machine, in milliseconds: it only ends what hangs. */
export const LIMIT_MS = 120_000;
/** How long a test waits for what must come, in milliseconds: it only ends what hangs. */
export const PATIENCE_MS = 90_000;
const LOOK_MS = 20;

/** Waits for what gives a signal. `describe` is asked for what there was instead, if it does not come. */
export async function within<T>(
  promise: Promise<T>,
  what: string,
  describe: () => string = () => "",
  limitMs = PATIENCE_MS,
): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not come within ${limitMs} ms ${describe()}`)), limitMs);
  });
  return await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Looks again and again: only for what the outside world gives no signal of, such as the end of somebody else's process. */
export async function eventually<T>(
  look: () => T | undefined | Promise<T | undefined>,
  what: string,
  limitMs = PATIENCE_MS,
): Promise<T> {
  const until = Date.now() + limitMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > until) throw new Error(`${what}: not within ${limitMs} ms`);
    await Bun.sleep(LOOK_MS);
  }
}

/** Another one in each run, unless ARTEL_TEST_SEED repeats an earlier one: tests print what they used. */
export const SEED = Number(process.env["ARTEL_TEST_SEED"] || Math.floor(Math.random() * 2 ** 31));

/** Numbers in [0, 1) that are the same in every run (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
