/**
 * bunqueue inside of one process, with every job on the disk before it is taken for added: `bun bunqueue.ts FILE JOBS`. Prints, a
 * second and as JSON, how many it adds in batches, and how many no-op jobs it does, from the first to the last completed.
 */
import { Queue, Worker } from "bunqueue/client";

const [, , dataPath = "", jobs = "20000"] = process.argv;
const COUNT = Number(jobs);
const CONCURRENCY = 128;
const PAGE = 1_000;
const NAME = "bench";

const queue = new Queue(NAME, { embedded: true, dataPath });
const job = {
  name: "noop",
  data: { to: "somebody@example.com", n: 42 },
  opts: { durable: true, removeOnComplete: true },
};

async function add(count: number): Promise<number> {
  const begun = performance.now();
  for (let at = 0; at < count; at += PAGE) {
    await queue.addBulk(Array.from({ length: Math.min(PAGE, count - at) }, () => job));
  }
  return (count / (performance.now() - begun)) * 1_000;
}

async function run(count: number): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let left = count;
  const begun = performance.now();
  const worker = new Worker(NAME, async () => null, { embedded: true, dataPath, concurrency: CONCURRENCY });
  worker.on("completed", () => {
    left -= 1;
    if (left === 0) resolve();
  });
  await promise;
  const elapsedMs = performance.now() - begun;
  await worker.close();
  return (count / elapsedMs) * 1_000;
}

const warmUp = Math.ceil(COUNT / 4);
await add(warmUp);
await run(warmUp);
const added = await add(COUNT);
console.log(JSON.stringify({ added, done: await run(COUNT) }));
process.exit(0);
