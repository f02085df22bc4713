/**
 * `bun run chaos [--cycles 100] [--seed N] [--broker embedded|redis|both] [--minutes M] [--again SECONDS]`: kills, freezes, drains,
 * wipes and cuts what it can, under load, on the compiled executable; then counts. Exits with 1 where anything is not as it must be.
 */
import { parseArgs } from "node:util";
import { redisPath } from "../support/redis-server.ts";
import { chaos } from "./chaos.ts";
import { BROKERS, type BrokerKind } from "./plan.ts";
import { described, type Summary } from "./summary.ts";

const SHOWN = 40;

const { values } = parseArgs({
  options: {
    cycles: { type: "string", default: "100" },
    seed: { type: "string", default: String(Math.floor(Math.random() * 2 ** 31)) },
    broker: { type: "string", default: redisPath === undefined ? "embedded" : "both" },
    minutes: { type: "string", default: "60" },
    again: { type: "string", default: "20" },
  },
});
const brokers = BROKERS.filter((broker) => values.broker === broker || values.broker === "both");
if (brokers.length === 0) throw new Error(`there is no broker "${values.broker}": it is embedded, redis or both`);

const runOn = (broker: BrokerKind): Promise<Summary> =>
  chaos({
    broker,
    seed: Number(values.seed),
    kills: Math.ceil(Number(values.cycles) / brokers.length),
    limitMs: Number(values.minutes) * 60_000,
    againMs: Number(values.again) * 1_000,
    say: (line) => console.log(`${broker.padEnd(8)}  ${line}`),
  });

console.log(`seed ${values.seed}`);
const summaries = await Promise.all(brokers.map(runOn));
for (const summary of summaries) {
  console.log(`\n${described(summary)}`);
  for (const violation of summary.violations.slice(0, SHOWN)) console.log(`    ${violation}`);
}
process.exit(summaries.every(({ violations }) => violations.length === 0) ? 0 : 1);
