import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { redisPath } from "../support/redis-server.ts";
import { chaos } from "./chaos.ts";
import { BROKERS } from "./plan.ts";

/** It only ends what hangs. */
setDefaultTimeout(240_000);

const SEED = Number(process.env["ARTEL_CHAOS_SEED"] ?? Math.floor(Math.random() * 2 ** 31));

describe.each(BROKERS.filter((broker) => broker === "embedded" || redisPath !== undefined))("on the %s broker", (broker) => {
  test.concurrent("whatever dies, what was accepted ends as it should, once, and is told to its owner alone", async () => {
    const said: string[] = [];
    const settings = { broker, seed: SEED, kills: 12, limitMs: 40_000, brief: true, againMs: 5_000 };
    const { violations, kept } = await chaos({ ...settings, say: (line) => said.push(line) });
    if (kept !== undefined) console.log(`seed ${SEED}, remains in ${kept}\n${said.join("\n")}`);
    expect({ seed: SEED, violations }).toEqual({ seed: SEED, violations: [] });
  });
});
