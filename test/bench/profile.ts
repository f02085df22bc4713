/**
 * `bun run profile SCENARIO [--redis] [--scale SHARE] [--out DIR]`: runs a scenario of the benchmarks once with its servers under
 * Bun's CPU profiler, from the sources, so that functions have their names and places. Leaves a .cpuprofile for each server, which
 * browsers' developer tools open, and prints where the time of the largest went.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import { ALLOCATOR } from "../../src/cli/allocator.ts";
import { RedisServer, redisPath } from "../support/redis-server.ts";
import { makeBench, missingFor } from "./make.ts";
import { type CpuProfile, selfTimes, totalMs } from "./profile-times.ts";
import { SCENARIOS } from "./scenarios.ts";

const ROOT = join(import.meta.dir, "../..");
const SHOWN = 25;

const { values, positionals } = parseArgs({
  options: {
    redis: { type: "boolean", default: false },
    scale: { type: "string", default: "1" },
    out: { type: "string", default: join(ROOT, "dist/profiles") },
  },
  allowPositionals: true,
});
const [name = ""] = positionals;
const scenario = SCENARIOS[name];
if (!scenario) throw new Error(`which scenario? known: ${Object.keys(SCENARIOS).join(", ")}`);
const needs = [...(scenario.needs ?? []), ...(values.redis ? (["redis"] as const) : [])];
const missing = missingFor(needs);
if (missing !== undefined) throw new Error(`${name} needs ${missing}`);

/** A folder for each server, told apart by its flags: one that is restarted leaves several profiles. */
const folder = join(resolve(values.out), `${name}-${new Date().toISOString().replaceAll(":", "")}`);
await using redis = redisPath === undefined ? undefined : await RedisServer.start();
const bench = makeBench({
  launch: (server) => ({
    command: [process.execPath, "--cpu-prof", `--cpu-prof-dir=${join(folder, server)}`, join(ROOT, "src/main.ts")],
    // As the executable sets it for itself.
    environment: ALLOCATOR,
    gently: true,
  }),
  redis,
  broker: values.redis ? "redis" : "embedded",
  scale: Number(values.scale),
});
await scenario.run(bench);

const read = readdirSync(folder, { recursive: true })
  .map(String)
  .filter((file) => file.endsWith(".cpuprofile"))
  .map((file) => ({ file, profile: JSON.parse(readFileSync(join(folder, file), "utf8")) as CpuProfile }))
  .sort((a, b) => totalMs(b.profile) - totalMs(a.profile));
for (const { file, profile } of read) {
  console.log(`${relative(process.cwd(), join(folder, file))}  ${Math.round(totalMs(profile))} ms busy`);
}
const [largest] = read;
if (!largest) throw new Error("no server of this scenario has left a profile");
console.log(`\n${largest.file}: self time, ms and share`);
const all = totalMs(largest.profile);
for (const { what, where, ms } of selfTimes(largest.profile, ROOT).slice(0, SHOWN)) {
  console.log(`${ms.toFixed(0).padStart(7)} ${((100 * ms) / all).toFixed(1).padStart(5)}%  ${what}  ${where}`);
}
