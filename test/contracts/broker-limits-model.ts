/** Limits and pauses against what is known to run, over random histories: never more than they allow, and nothing is forgotten. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Job, Restraints } from "../../src/ports/broker.ts";
import { type Bench, job } from "./bench.ts";

const NAMES = ["job", "other"];
const OWNERS = ["anna", "ben", "eve"];
const WORKERS = ["w", "v"];
const STEPS = [
  "send",
  "send",
  "claim",
  "claim",
  "claim",
  "end",
  "end",
  "give back",
  "cancel",
  "send again",
  "leave",
  "restrain",
] as const;

const limit = fc.record({
  concurrency: fc.option(fc.integer({ min: 1, max: 4 })),
  perUser: fc.option(fc.integer({ min: 1, max: 2 })),
});
const restraints = fc.record({
  job: limit,
  other: limit,
  pausedTasks: fc.subarray(["other"]),
  pausedQueues: fc.subarray(["slow"]),
});
type Drawn = typeof restraints extends fc.Arbitrary<infer T> ? T : never;
const steps = fc.array(fc.tuple(fc.constantFrom(...STEPS), fc.nat(99), restraints), { maxLength: 60, size: "max" });

const toldOf = ({ job: one, other, pausedTasks, pausedQueues }: Drawn): Restraints => ({
  limits: Object.entries({ job: one, other }).map(([name, { concurrency, perUser }]) => ({
    name,
    ...(concurrency !== null && { concurrency }),
    ...(perUser !== null && { perUser }),
  })),
  pausedTasks,
  pausedQueues,
});

/** What is queued and what is leased, and by whom. */
class World {
  readonly bench: Bench;
  readonly queued = new Map<string, Job>();
  readonly leased = new Map<string, { readonly job: Job; readonly worker: string }>();
  restraints: Restraints = { limits: [], pausedTasks: [], pausedQueues: [] };

  constructor(bench: Bench) {
    this.bench = bench;
  }

  async send(at: number): Promise<void> {
    const one = job({
      name: NAMES[at % 2] ?? "",
      owner: OWNERS[at % 3] ?? "",
      queue: at % 5 === 0 ? "slow" : "default",
      priority: at % 7 === 0 ? "high" : "normal",
    });
    this.queued.set(one.id, one);
    await this.bench.broker.enqueue([one]);
  }

  async claim(at: number): Promise<number> {
    const worker = WORKERS[at % 2] ?? "";
    const [before, owned] = [this.#count(({ name }) => name), this.#count(whoOf)];
    const claimed = await this.bench.claim(worker, 1 + (at % 4));
    for (const each of claimed) {
      expect(this.queued.get(each.id)).toEqual(each);
      expect(this.restraints.pausedTasks).not.toContain(each.name);
      expect(this.restraints.pausedQueues).not.toContain(each.queue);
      this.queued.delete(each.id);
      this.leased.set(each.id, { job: each, worker });
    }
    // What ran already when a limit came goes on, and none comes to it.
    for (const { name, concurrency, perUser } of this.restraints.limits) {
      const most = Math.max(concurrency ?? Number.POSITIVE_INFINITY, before.get(name) ?? 0);
      expect(this.#count((each) => each.name).get(name) ?? 0).toBeLessThanOrEqual(most);
      for (const owner of OWNERS) {
        const who = whoOf({ name, owner });
        expect(this.#count(whoOf).get(who) ?? 0).toBeLessThanOrEqual(
          Math.max(perUser ?? Number.POSITIVE_INFINITY, owned.get(who) ?? 0),
        );
      }
    }
    return claimed.length;
  }

  async end(at: number, kind: "done" | "released"): Promise<void> {
    const [id, held] = pick(this.leased, at);
    if (!held || id === undefined) return;
    const { fence } = held.job;
    const outcome =
      kind === "done" ? ({ kind, id, fence, at: 1, result: "null" } as const) : ({ kind, id, fence, at: 1 } as const);
    expect(await this.bench.broker.settle(held.worker, [outcome])).toEqual(["taken"]);
    this.leased.delete(id);
    if (kind === "released") await this.#again(held.job);
  }

  /** The row says so, though the broker still has it. */
  async sendAgain(at: number): Promise<void> {
    const [id, held] = pick(this.leased, at);
    if (held && id !== undefined && this.leased.delete(id)) await this.#again(held.job);
  }

  async cancel(at: number): Promise<void> {
    const [id] = pick(this.queued, at);
    if (id === undefined) return;
    this.queued.delete(id);
    await this.bench.broker.cancel([id]);
  }

  async leave(at: number): Promise<void> {
    const worker = WORKERS[at % 2] ?? "";
    await this.bench.broker.leave(worker);
    const back = [...this.leased.values()].filter((held) => held.worker === worker);
    for (const { job: each } of back) this.leased.delete(each.id);
    for (const { job: each } of back) await this.#again(each);
  }

  async restrain(restraints: Restraints): Promise<void> {
    this.restraints = restraints;
    await this.bench.broker.restrain(restraints);
  }

  /** Whatever waits is claimed in the end. */
  async runDown(): Promise<void> {
    await this.restrain({ ...this.restraints, pausedTasks: [], pausedQueues: [] });
    while (this.queued.size > 0 || this.leased.size > 0) {
      while (this.leased.size > 0) await this.end(0, "done");
      const waiting = this.queued.size;
      await this.claim(3);
      expect(this.queued.size).toBeLessThan(Math.max(1, waiting));
    }
  }

  async #again(before: Job): Promise<void> {
    const next = { ...before, fence: before.fence + 1 };
    this.queued.set(next.id, next);
    await this.bench.broker.enqueue([next]);
  }

  #count(keyOf: (each: Job) => string): Map<string, number> {
    const counts = new Map<string, number>();
    for (const { job: each } of this.leased.values()) counts.set(keyOf(each), (counts.get(keyOf(each)) ?? 0) + 1);
    return counts;
  }
}

const whoOf = ({ name, owner }: Pick<Job, "name" | "owner">): string => `${name} ${owner}`;
const pick = <T>(of: ReadonlyMap<string, T>, at: number): readonly [string?, T?] => [...of][at % Math.max(1, of.size)] ?? [];

async function take(world: World, step: (typeof STEPS)[number], at: number, drawn: Drawn): Promise<void> {
  if (step === "send") return await world.send(at);
  if (step === "claim") return void (await world.claim(at));
  if (step === "end") return await world.end(at, "done");
  if (step === "give back") return await world.end(at, "released");
  if (step === "send again") return await world.sendAgain(at);
  if (step === "cancel") return await world.cancel(at);
  if (step === "leave") return await world.leave(at);
  await world.restrain(toldOf(drawn));
}

export function limitModelContract(open: () => Promise<Bench>): void {
  test("limits hold over random histories, and whoever waits for them gets his turn", async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (history) => {
        await using bench = await open();
        const world = new World(bench);
        for (const [step, at, drawn] of history) await take(world, step, at, drawn);
        await world.runDown();
      }),
      { numRuns: 60 },
    );
  });
}
