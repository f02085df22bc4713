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

test("the embedded broker tells of a start alone a little later, and of an outcome with it at once", async () => {
  const { broker } = open();
  await broker.enqueue(several(2));
  const claimed = await broker.claim({ worker: "w", max: 1, tasks: ["job"], alone: false });
  const told = new Promise<void>((resolve) => broker.onEvents(resolve));
  const [first] = claimed;
  let early = true;
  void told.then(() => {
    early = false;
  });
  await Promise.resolve();
  expect(early).toBe(true);
  await told;
  expect((await broker.events(null, 10)).events.map(({ kind }) => kind)).toEqual(["started"]);
  const at = 1;
  const [second] = await broker.claim({ worker: "w", max: 1, tasks: ["job"], alone: false });
  let tellings = 0;
  broker.onEvents(() => {
    tellings += 1;
  });
  await broker.settle("w", [{ kind: "done", id: second?.id ?? "", fence: second?.fence ?? 0, at, result: "null" }]);
  expect(tellings).toBe(1);
  expect((await broker.events(null, 10)).events.map(({ kind, id }) => [kind, id === first?.id])).toEqual([
    ["started", true],
    ["started", false],
    ["done", false],
  ]);
  await broker.stop();
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
