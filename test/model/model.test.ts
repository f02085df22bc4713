/**
 * The middle as a whole (services, rows and broker) through random histories, beside a model made of a list. ARTEL_MODEL_RUNS
 * multiplies how many.
 */
import { describe, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { redisPath, sharedRedis } from "../support/redis-server.ts";
import { LIMIT_MS } from "../support/waiting.ts";
import { embedded, type GroundOf, onServer } from "./ground.ts";
import { histories } from "./steps.ts";
import { World } from "./world.ts";

const TIMES = Number(process.env["ARTEL_MODEL_RUNS"] ?? 1);
const server = await sharedRedis();
setDefaultTimeout(LIMIT_MS * TIMES);

async function agrees(ground: GroundOf, numRuns: number): Promise<void> {
  const property = fc.asyncProperty(histories, async (history) => {
    await using world = await World.open(ground);
    for (const [n, step] of history.entries()) {
      await world.take(step).catch((cause: unknown) => {
        throw new Error(`step ${n + 1} of ${history.length}, ${JSON.stringify(step)}`, { cause });
      });
    }
    await world.finish();
  });
  await fc.assert(property, { numRuns: numRuns * TIMES });
}

describe("invariants 1, 2, 3: whatever happens, every task ends once in each of its lives, as a model made of a list says", () => {
  test("on the embedded broker", () => agrees(embedded, 200));

  test.skipIf(redisPath === undefined)("on Redis", () => agrees(onServer(server), 100));
});
