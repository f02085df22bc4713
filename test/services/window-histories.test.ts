import { expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import type { Job } from "../../src/ports/broker.ts";
import type { Caller } from "../../src/services/tasks.ts";
import { ADMIN, ANNA, BEN, type Core, done, failed, manual, openCore, policy, released } from "../support/core.ts";
import { LIMITS } from "../support/window.ts";

// The preload's limit holds for the first file of a run only.
setDefaultTimeout(60_000);

const OWNERS = [ANNA, BEN, ADMIN];
const NAMES = ["a", "b", "c"];
const INPUTS = [{}, { text: "x".repeat(2_000) }, { text: "x".repeat(9_000) }];

const step = fc.record({
  kind: fc.constantFrom(
    "submit",
    "submit",
    "spoiled",
    "claim",
    "claim",
    "done",
    "failed",
    "released",
    "cancel",
    "retry",
    "pause",
    "workflow",
  ),
  owner: fc.nat(2),
  name: fc.nat(2),
  input: fc.nat(2),
  count: fc.integer({ min: 1, max: 6 }),
  pick: fc.nat(50),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** One history on a core, several steps of which are handed in together. */
class History {
  readonly #core: Core;
  readonly #held: Job[] = [];
  readonly #ids: { readonly id: string; readonly who: Caller }[] = [];

  constructor(core: Core) {
    this.#core = core;
  }

  async take(turn: readonly Step[]): Promise<void> {
    await Promise.all(turn.map((each) => this.#one(each)));
    await this.#core.recorder.drained();
    await this.#core.work.grouped(() => {});
  }

  /** All that there is runs to its end. */
  async finish(): Promise<void> {
    for (const name of NAMES) await this.#core.pauses.resume({ kind: "task", name });
    for (const job of this.#held.splice(0)) await this.#core.settle(done(job));
    for (let turn = 0; turn < 500 && this.#core.quotas.total > 0; turn += 1) {
      for (const job of await this.#core.claim(10)) await this.#core.settle(done(job));
      manual(this.#core).advance(10_000);
      await this.#core.scheduler.tick();
      await this.#core.work.grouped(() => {});
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async #one({ kind, owner, name: at, input, count, pick }: Step): Promise<void> {
    const { tasks, workflows, pauses, work, hub } = this.#core;
    const who = OWNERS[owner] as Caller;
    const name = NAMES[at] as string;
    const one = this.#ids[pick % this.#ids.length];
    switch (kind) {
      case "submit": {
        const inputs = Array.from({ length: count }, () => INPUTS[input]);
        for (const { id } of await tasks.submitBatch(who, name, inputs)) this.#ids.push({ id, who });
        return;
      }
      case "workflow": {
        const group = Array.from({ length: count }, () => ({ task: name, input: INPUTS[input] }));
        const { taskIds } = await workflows.submit(who, { chord: group, then: { task: name, input: {} } });
        for (const id of taskIds) this.#ids.push({ id, who });
        return;
      }
      case "spoiled":
        // Its whole group is undone, and each of the others is tried by itself.
        return void (await work
          .grouped(() => {
            throw new Error("spoiled");
          })
          .catch(() => {}));
      case "claim":
        this.#held.push(...(await hub.claim({ worker: "w", max: count, alone: false, tasks: NAMES })));
        return;
      case "cancel":
        return void (one && (await tasks.cancel(one.who, one.id).catch(() => {})));
      case "retry":
        return void (one && (await tasks.retry(one.who, one.id).catch(() => {})));
      case "pause":
        return await pauses[pick % 2 === 0 ? "pause" : "resume"]({ kind: "task", name });
      default: {
        const [job] = this.#held.splice(pick % Math.max(1, this.#held.length), 1);
        if (!job) return;
        const outcome = kind === "done" ? done(job) : kind === "failed" ? failed(job, 1_000) : released(job);
        await hub.settle("w", [outcome]);
      }
    }
  }
}

const counted = (core: Core, dispatched: 0 | 1): number =>
  core.db.query<{ n: number }, [number]>("SELECT count(*) AS n FROM tasks WHERE status = 1 AND dispatched = ?").get(dispatched)
    ?.n ?? 0;

test("whatever is handed in together, undone, paused, cancelled and run again, the window counts what the rows say, and all of it ends", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(step, { minLength: 1, maxLength: 6 }), { maxLength: 15, size: "max" }), async (turns) => {
      await using core = await openCore({ window: LIMITS, policies: NAMES.map((name) => policy(name)) });
      const history = new History(core);
      for (const turn of turns) {
        await history.take(turn);
        expect([core.window.inBroker, core.window.waiting]).toEqual([counted(core, 1), counted(core, 0)]);
      }
      await history.finish();
      expect([core.quotas.total, core.window.inBroker, core.window.waiting]).toEqual([0, 0, 0]);
      // Nothing is left of any task or input: a single one has the whole window again.
      for (const who of OWNERS)
        await core.tasks.submitBatch(
          who,
          "a",
          Array.from({ length: 4 }, () => ({})),
        );
      expect([core.window.inBroker, core.window.waiting]).toEqual([10, 2]);
    }),
    { numRuns: 30 },
  );
});
