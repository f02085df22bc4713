import type { Clock, Random } from "../ports/runtime.ts";

/** The machine's own clock and randomness. */
export const systemClock: Clock = { now: Date.now };

export const systemRandom: Random = {
  uuid: () => Bun.randomUUIDv7(),
  fraction: Math.random,
  token: (bytes) => crypto.getRandomValues(Buffer.alloc(bytes)).toString("base64url"),
};
