/**
 * A process of BullMQ doing no-op jobs: `bun bullmq.ts REDIS_URL CLIENT JOBS`. Prints how many it did a second, from
 * a full list to the last completed, after rounds to warm up.
 */
import { createBunRedisClient, Queue, Worker } from "bullmq";
import { RedisClient } from "bun";

const [, , url = "", client = "ioredis", jobs = "20000"] = process.argv;
const COUNT = Number(jobs);
const CONCURRENCY = 128;
const PAGE = 1_000;
/** Rounds before the one that counts, as many as others have. */
const WARM_UPS = 2;

const connect = () => {
  if (client === "bun") return createBunRedisClient(new RedisClient(url));
  const { hostname: host, port } = new URL(url);
  return { host, port: Number(port), maxRetriesPerRequest: null };
};
const name = `bench-${client}`;
const queue = new Queue(name, { connection: connect() });
const worker = new Worker(name, async () => null, {
  connection: connect(),
  concurrency: CONCURRENCY,
  removeOnComplete: { count: 0 },
});
let left = 0;
let done = Promise.withResolvers<void>();
worker.on("completed", () => {
  left -= 1;
  if (left === 0) done.resolve();
});
await worker.waitUntilReady();

async function round(count: number): Promise<number> {
  await worker.pause();
  left = count;
  done = Promise.withResolvers();
  const data = { to: "somebody@example.com", n: 42 };
  for (let at = 0; at < count; at += PAGE) {
    await queue.addBulk(Array.from({ length: Math.min(PAGE, count - at) }, () => ({ name: "noop", data })));
  }
  const begun = performance.now();
  await worker.resume();
  await done.promise;
  return performance.now() - begun;
}

for (let i = 0; i < WARM_UPS; i += 1) await round(COUNT);
console.log((COUNT / (await round(COUNT))) * 1_000);
process.exit(0);
