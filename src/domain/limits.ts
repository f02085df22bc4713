/** How much of a task may run, in the whole installation. */

/** A token bucket: each attempt that begins takes one token. */
export interface Rate {
  /** One more token comes each so many milliseconds. */
  readonly tokenMs: number;
  /** The bucket holds no more than this; at least 1. */
  readonly burst: number;
}

export interface TaskLimits {
  /** At the same time. Undefined: any number. */
  readonly concurrency?: number | undefined;
  /** At the same time of one owner. Undefined: any number. */
  readonly perUser?: number | undefined;
  /** Undefined: as fast as they come. */
  readonly rate?: Rate | undefined;
}

/** Where nothing is said of it, a bucket holds what comes in this time, in milliseconds. */
const BURST_MS = 100;

/** So many starts in so long a time, evenly; @param burst how many may begin at once after a time without any */
export function rateOf(limit: number, perMs: number, burst?: number): Rate {
  const tokenMs = perMs / limit;
  return { tokenMs, burst: burst ?? Math.max(1, Math.floor(BURST_MS / tokenMs)) };
}

/** A bucket at one moment; `at` in milliseconds. */
export interface Bucket {
  readonly tokens: number;
  readonly at: number;
}

/** What a bucket holds now. One that nobody has used is full; a clock that has gone back brings nothing. */
export function refill({ tokenMs, burst }: Rate, bucket: Bucket | undefined, now: number): Bucket {
  if (!bucket) return { tokens: burst, at: now };
  const came = Math.max(0, now - bucket.at) / tokenMs;
  return { tokens: Math.min(burst, bucket.tokens + came), at: now };
}

/** How long until a bucket holds a whole token, in milliseconds. */
export const nextTokenMs = ({ tokenMs }: Rate, { tokens }: Bucket): number => Math.max(0, Math.ceil((1 - tokens) * tokenMs));
