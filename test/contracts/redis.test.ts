import { RedisBroker } from "../../src/drivers/redis/broker.ts";
import { MAX_ENTRIES } from "../../src/drivers/redis/claims.ts";
import { Keys } from "../../src/drivers/redis/keys.ts";
import { connector } from "../../src/drivers/redis/url.ts";
import { systemRandom } from "../../src/drivers/system.ts";
import { ManualClock, recordingLog } from "../support/manual-runtime.ts";
import { sharedRedis } from "../support/redis-server.ts";
import { brokerContract } from "./broker.ts";

const redis = await sharedRedis();
let opened = 0;

brokerContract("redis", async () => {
  const clock = new ManualClock();
  opened += 1;
  const broker = new RedisBroker({
    connector: connector(redis.url),
    keys: new Keys(`contract-${opened}-${process.pid}`),
    clock,
    serverTime: clock,
    elapsed: () => clock.elapsed(),
    random: systemRandom,
    log: recordingLog().log,
  });
  await broker.link.verdict(5_000);
  return { broker, clock, maxUnrecorded: MAX_ENTRIES, stop: () => broker.stop() };
});
