import { expect } from "bun:test";

/**
 * Fails where something was counted more often than its bound says, or was counted and has none. What costs less than before
 * passes: then the bound is to be lowered.
 */
export function expectWithin(counts: Readonly<Record<string, number>>, bounds: Readonly<Record<string, number>>): void {
  const beyond = Object.entries(counts).filter(([what, count]) => count > (bounds[what] ?? 0));
  const told = beyond.map(([what, count]) => `${what}: ${count}, and at most ${bounds[what] ?? 0} are expected`);
  expect(told).toEqual([]);
}
