/**
 * `bun run bench [SCENARIO…] [--redis] [--rounds N] [--json]`: measures the compiled executable, scenario by scenario in turn, and
 * prints medians. Figures are for one machine at one time; only their ratios travel.
 */
import { cpus, release, totalmem } from "node:os";
import { parseArgs } from "node:util";
import { executable } from "../support/executable.ts";
import { RedisServer } from "../support/redis-server.ts";
import { type Figure, SCENARIOS, type Start } from "./scenarios.ts";
import { startArtel } from "./server.ts";

const { values, positionals } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    json: { type: "boolean", default: false },
    redis: { type: "boolean", default: false },
  },
  allowPositionals: true,
});
const names = positionals.length > 0 ? positionals : Object.keys(SCENARIOS).filter((name) => values.redis || name !== "lists");
const unknown = names.find((name) => !(name in SCENARIOS));
if (unknown !== undefined) throw new Error(`there is no scenario "${unknown}"; known: ${Object.keys(SCENARIOS).join(", ")}`);

const file = await executable();
/** On this machine, as fast as it goes: it keeps nothing on disk, for what counts is in SQLite. */
await using redis = values.redis ? await RedisServer.start() : undefined;
let started = 0;
const start: Start = (flags, user) => {
  started += 1;
  const broker = redis ? ["--redis", redis.url, "--namespace", `bench-${started}`] : [];
  return startArtel(file, [...flags, ...broker], user);
};
const rounds = new Map<string, { unit: string; values: number[] }>();
for (let round = 0; round < Number(values.rounds); round += 1) {
  for (const name of names) for (const figure of (await SCENARIOS[name]?.(start, redis?.url)) ?? []) collect(figure);
}

function collect({ name, value, unit }: Figure): void {
  const figure = rounds.get(name) ?? { unit, values: [] };
  figure.values.push(value);
  rounds.set(name, figure);
}

const median = (numbers: readonly number[]): number =>
  [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
const shown = (value: number): string => (value >= 100 ? Math.round(value).toLocaleString("en") : value.toPrecision(3));
const machine = `${cpus().length} × ${cpus()[0]?.model ?? "?"}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}, Bun ${Bun.version}`;
const results = [...rounds].map(([name, { unit, values: found }]) => ({
  name,
  unit,
  median: median(found),
  min: Math.min(...found),
  max: Math.max(...found),
}));
if (values.json) {
  console.log(JSON.stringify({ date: new Date().toISOString(), machine, rounds: Number(values.rounds), results }, null, 2));
} else {
  console.log(
    `${new Date().toISOString().slice(0, 10)}, ${machine}; ${redis ? "on Redis" : "embedded"}; medians of ${values.rounds} (min … max)\n`,
  );
  for (const { name, unit, median: middle, min, max } of results) {
    console.log(`${name.padEnd(42)} ${`${shown(middle)}${unit}`.padStart(12)}   (${shown(min)} … ${shown(max)})`);
  }
}
