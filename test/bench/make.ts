import { existsSync } from "node:fs";
import type { RedisServer } from "../support/redis-server.ts";
import type { Bench, BrokerName, Need } from "./bench.ts";
import { BenchServer, type Launch } from "./server.ts";

/** Every run ends, also a very small one, with something measured. */
const LEAST_SECONDS = 0.1;

export interface Run {
  /** @param name tells a server from the others of the run: its number, its broker, its flags */
  readonly launch: (name: string) => Pick<Launch, "command" | "environment" | "gently">;
  readonly redis: RedisServer | undefined;
  /** Of servers that ask for none. */
  readonly broker: BrokerName;
  /** Which share of the full size is measured. */
  readonly scale: number;
}

/** A run's tools for its scenarios. */
export function makeBench({ launch, redis, broker: usual, scale }: Run): Bench {
  let started = 0;
  return {
    redis,
    brokers: redis ? ["embedded", "redis"] : ["embedded"],
    count: (full, least = 1) => Math.max(least, Math.round(full * scale)),
    seconds: (full) => Math.max(LEAST_SECONDS, full * Math.min(1, scale)),
    artel(flags, { bare, broker = usual } = {}) {
      started += 1;
      const own = broker === "redis" && redis ? ["--redis", redis.url, "--namespace", `bench-${started}`] : [];
      const name = [started, broker, ...flags.map((flag) => flag.replace(/^--/, ""))].join("-");
      return BenchServer.start({ ...launch(name), flags: [...flags, ...own], bare });
    },
  };
}

/** What a scenario needs and this machine lacks; undefined: nothing. */
export function missingFor(needs: readonly Need[]): string | undefined {
  const has: Record<Need, boolean> = {
    redis: Bun.which("redis-server") !== null,
    "redis-benchmark": Bun.which("redis-benchmark") !== null,
    proc: existsSync("/proc/self/status"),
  };
  const names: Record<Need, string> = {
    redis: "redis-server",
    "redis-benchmark": "redis-benchmark",
    proc: "a system with /proc",
  };
  const missing = needs.filter((need) => !has[need]).map((need) => names[need]);
  return missing.length === 0 ? undefined : missing.join(", ");
}
