/** What scenarios are written with, and what they give back. */
import type { RedisServer } from "../support/redis-server.ts";
import type { BenchServer, ServerOptions } from "./server.ts";

/** One figure of one round. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** The name of the figure that this one is put in relation to: a limit, a rival, the same with less in the way. */
  readonly of?: string;
}

export type BrokerName = "embedded" | "redis";

/** One run: its size, and what is measured in it. */
export interface Bench {
  /** Starts the executable, on the run's broker unless `options` name one. */
  artel(flags: readonly string[], options?: ServerOptions): Promise<BenchServer>;
  /** For rivals, and for what asks for it; undefined: there is none on this machine. */
  readonly redis: RedisServer | undefined;
  /** The brokers that there are on this machine. */
  readonly brokers: readonly BrokerName[];
  /** How many of something: `full`, or fewer in a small run, never less than `least`. */
  count(full: number, least?: number): number;
  /** For how long a load runs, in seconds. */
  seconds(full: number): number;
}

export interface Scenario {
  /** One line: what is measured, beside what. */
  readonly about: string;
  /** What it cannot do without. */
  readonly needs?: readonly Need[];
  /** Measures once; the runner alternates and takes medians. */
  run(bench: Bench): Promise<readonly Figure[]>;
}

export type Need = "redis" | "redis-benchmark" | "proc";

/** A share of sorted numbers lies at or below what this gives. */
export const quantile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;

export const perSecond = (count: number, elapsedMs: number): number => (count / elapsedMs) * 1_000;
