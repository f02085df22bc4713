/**
 * `bun run bench [SCENARIO…] [--redis] [--rounds N] [--scale SHARE] [--json] [--list]`: measures the compiled executable, scenario
 * by scenario in turn, and prints medians. Figures are for one machine at one time; only their ratios travel.
 */
import { parseArgs } from "node:util";
import { executable } from "../support/executable.ts";
import { RedisServer, redisPath } from "../support/redis-server.ts";
import { makeBench, missingFor } from "./make.ts";
import { SCENARIOS } from "./scenarios.ts";
import { Table } from "./table.ts";

const { values, positionals } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    scale: { type: "string", default: "1" },
    json: { type: "boolean", default: false },
    list: { type: "boolean", default: false },
    redis: { type: "boolean", default: false },
  },
  allowPositionals: true,
});
const known = Object.keys(SCENARIOS);
const unknown = positionals.find((name) => !known.includes(name));
if (unknown !== undefined) throw new Error(`there is no scenario "${unknown}"; known: ${known.join(", ")}`);
if (values.list) {
  for (const [name, { about }] of Object.entries(SCENARIOS)) console.log(`${name.padEnd(10)} ${about}`);
  process.exit(0);
}
if (values.redis && redisPath === undefined) throw new Error("--redis needs redis-server on the PATH");

/** As fast as it goes: it keeps nothing on disk, for what counts is in SQLite. */
await using redis = redisPath === undefined ? undefined : await RedisServer.start();
const command = [await executable()];
const bench = makeBench({
  launch: () => ({ command }),
  redis,
  broker: values.redis ? "redis" : "embedded",
  scale: Number(values.scale),
});
const table = new Table();
for (let round = 0; round < Number(values.rounds); round += 1) {
  for (const name of positionals.length > 0 ? positionals : known) {
    const scenario = SCENARIOS[name];
    const missing = missingFor(scenario?.needs ?? []);
    if (missing !== undefined) table.leaveOut(name, missing);
    else if (scenario) table.add(name, await scenario.run(bench));
    // What one scenario leaves in Redis is no load for the next one.
    await redis?.command("FLUSHALL");
  }
}
const about = { broker: values.redis ? "redis" : "embedded", rounds: Number(values.rounds), scale: Number(values.scale) };
console.log(values.json ? JSON.stringify(table.json(about), null, 2) : table.text(about));
