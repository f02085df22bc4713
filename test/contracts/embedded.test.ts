import { heapSize } from "bun:jsc";
import { expect, setDefaultTimeout, test } from "bun:test";
import { EmbeddedBroker } from "../../src/drivers/embedded/broker.ts";
import { ManualClock } from "../support/manual-runtime.ts";
import { job, several } from "./bench.ts";
import { brokerContract } from "./broker.ts";

// The preload's limit holds for the first file of a run only.
setDefaultTimeout(30_000);

let opened = 0;

function open(): { broker: EmbeddedBroker; clock: ManualClock } {
  const clock = new ManualClock();
  opened += 1;
  return { clock, broker: new EmbeddedBroker({ clock, epoch: `life-${opened}` }) };
}

brokerContract("embedded", async () => {
  const { broker, clock } = open();
  return { broker, clock, maxUnrecorded: 100_000, stop: () => broker.stop() };
});

test("the embedded broker answers a claim only once its started events are recorded", async () => {
  const { broker } = open();
  await broker.enqueue([job()]);
  let answered = false;
  const claim = broker.claim({ worker: "w", max: 1, tasks: ["job"], alone: false }).then((jobs) => {
    answered = true;
    return jobs;
  });
  const page = await broker.events(null, 10);
  expect([page.events.map(({ kind }) => kind), answered]).toEqual([["started"], false]);
  await broker.acknowledge(page.offset);
  expect(await claim).toHaveLength(1);
});

test("invariant 8: what was cancelled in a lane that nobody serves holds no memory", async () => {
  const { broker } = open();
  await broker.enqueue(several(2));
  Bun.gc(true);
  const before = heapSize();
  for (let i = 0; i < 200; i += 1) {
    const large = job({ args: Buffer.alloc(512 * 1024, 97 + (i % 26)).toString("latin1") });
    await broker.enqueue([large]);
    await broker.cancel([large.id]);
  }
  Bun.gc(true);
  expect(heapSize() - before).toBeLessThan(10 * 1024 * 1024);
});
