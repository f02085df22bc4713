import { expect, test } from "bun:test";
import { EmbeddedBroker } from "../../src/drivers/embedded/broker.ts";
import type { Job } from "../../src/ports/broker.ts";
import { Consumer } from "../../src/workers/consumer.ts";
import type { FromThread } from "../../src/workers/messages.ts";
import { SlotTable } from "../../src/workers/slots.ts";
import { ManualClock } from "../support/manual-runtime.ts";
import { eventually } from "../support/waiting.ts";

const SLOTS = 32;
/** Stands still: by it, all jobs are short. */
const CLOCK = new ManualClock();

const jobs = (count: number): Job[] =>
  Array.from({ length: count }, (_, n) => ({
    id: `job-${n}`,
    fence: 1,
    name: "work",
    queue: "default",
    priority: "normal",
    owner: "ada",
    attempt: 1,
    maxAttempts: 1,
    alone: false,
    args: "{}",
  }));

/** A thread's consumer on a broker, whose jobs run until they are ended; `claims` tells how many each claim asked for and got. */
class Thread {
  readonly claims: { asked: number; got: number }[] = [];
  readonly #table = new SlotTable(4 * SLOTS);
  readonly #held: { slot: number; job: Job }[] = [];
  readonly #consumer: Consumer;

  constructor(broker: EmbeddedBroker, worker: string) {
    this.#consumer = new Consumer({
      broker: {
        claim: async (request) => {
          const got = await broker.claim(request);
          this.claims.push({ asked: request.max, got: got.length });
          return got;
        },
        settle: (name, outcomes) => broker.settle(name, outcomes),
        log: (lines) => broker.log(lines),
        report: (progress) => broker.report(progress),
      },
      request: { worker, tasks: ["work"], alone: false },
      table: this.#table,
      atOnce: SLOTS,
      run: (taken) => {
        for (const { slot, job } of taken) {
          this.#table.begin(slot, CLOCK.now());
          this.#held.push({ slot, job });
        }
      },
      running: () => this.#held.length,
      heapBytes: () => 0,
      send: (_: FromThread) => {},
      clock: CLOCK,
    });
  }

  get held(): number {
    return this.#held.length;
  }

  look(): void {
    this.#consumer.look();
  }

  endAll(): void {
    const ended = this.#held.splice(0).map(({ slot, job: { id, fence } }) => {
      this.#table.end(slot);
      return { slot, outcome: { kind: "done" as const, id, fence, at: CLOCK.now(), result: "null" } };
    });
    this.#consumer.report({ kind: "report", ended, freed: [], progress: [], log: [], heapBytes: 0 });
  }
}

async function scene(count: number): Promise<{ one: Thread; two: Thread }> {
  const broker = new EmbeddedBroker({ clock: CLOCK, epoch: "test" });
  await broker.enqueue(jobs(count));
  return { one: new Thread(broker, "one"), two: new Thread(broker, "two") };
}

test("two jobs come to two threads that ask at the same time", async () => {
  const { one, two } = await scene(2);
  one.look();
  two.look();
  await eventually(() => one.held + two.held === 2 || undefined, "both claimed");
  expect([one.held, two.held]).toEqual([1, 1]);
});

test("a thread doubles its share until its slots are full, and asks for no more then", async () => {
  const { one } = await scene(100);
  one.look();
  await eventually(() => one.held === SLOTS || undefined, "full");
  expect(one.claims.map(({ asked }) => asked)).toEqual([1, 1, 2, 4, 8, 16]);
});

test("where its jobs were short, it takes many at once", async () => {
  const { one } = await scene(200);
  one.look();
  await eventually(() => one.held === SLOTS || undefined, "full");
  one.claims.length = 0;
  one.endAll();
  await eventually(() => one.held === 4 * SLOTS || undefined, "ahead of what it runs");
  expect(one.claims.map(({ asked }) => asked)).toEqual([4 * SLOTS]);
});
