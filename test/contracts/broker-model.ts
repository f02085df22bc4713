import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type BrokerEvent, type Job, LEASE_MS } from "../../src/ports/broker.ts";
import { type Bench, ids, job } from "./bench.ts";

const WORKERS = ["w", "v", "u"] as const;
const OWNERS = ["anna", "ben"] as const;

type Step =
  | { readonly do: "enqueue"; readonly owner: string; readonly high: boolean; readonly alone: boolean }
  /** Enqueues a known job again, at its fence or `bump` higher. */
  | { readonly do: "again"; readonly pick: number; readonly bump: number }
  | { readonly do: "claim"; readonly worker: string; readonly max: number; readonly alone: boolean }
  | {
      readonly do: "settle";
      readonly worker: string;
      readonly pick: number;
      readonly kind: "done" | "released";
      readonly fence: number;
    }
  | { readonly do: "cancel"; readonly pick: number }
  | { readonly do: "heartbeat"; readonly worker: string }
  | { readonly do: "advance"; readonly ms: number }
  | { readonly do: "reap" };

const worker = fc.constantFrom(...WORKERS);
const pick = fc.nat(30);
const steps: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("enqueue" as const),
      owner: fc.constantFrom(...OWNERS),
      high: fc.boolean(),
      alone: fc.constantFrom(false, false, true),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("again" as const), pick, bump: fc.constantFrom(0, 1) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("claim" as const),
      worker,
      max: fc.integer({ min: 1, max: 4 }),
      alone: fc.constantFrom(false, false, true),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("settle" as const),
      worker,
      pick,
      kind: fc.constantFrom("done" as const, "released" as const),
      fence: fc.constantFrom(0, 0, 0, 1, -1),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("cancel" as const), pick }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("heartbeat" as const), worker }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("advance" as const), ms: fc.constantFrom(1, LEASE_MS / 2, LEASE_MS) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("reap" as const) }) },
);

/** What the broker should know of one job: its latest dispatch. */
interface Known {
  job: Job;
  state: "queued" | "leased" | "gone";
  worker: string;
  cancelled: boolean;
}

/** Lists and maps in place of everything clever. */
class Model {
  readonly known: Known[] = [];
  readonly events: string[] = [];
  readonly beats = new Map<string, number>();

  queued(alone: boolean): Known[] {
    return this.known.filter((each) => each.state === "queued" && each.job.alone === alone);
  }

  held(by: string): Known[] {
    return this.known.filter((each) => each.state === "leased" && each.worker === by);
  }

  at(index: number): Known | undefined {
    return this.known.length === 0 ? undefined : this.known[index % this.known.length];
  }

  emit(kind: string, of: Known): void {
    this.events.push(`${kind} ${of.job.id} ${of.job.fence}`);
  }
}

const written = (event: BrokerEvent): string => `${event.kind} ${event.id} ${event.fence}`;
const laneOf = ({ owner, priority, alone }: Job): string => `${owner} ${priority} ${alone}`;

/** Does one step to both and compares what they say. */
async function take(bench: Bench, model: Model, step: Step): Promise<void> {
  const { broker, clock } = bench;
  switch (step.do) {
    case "enqueue": {
      const sent = job({ owner: step.owner, priority: step.high ? "high" : "normal", alone: step.alone });
      model.known.push({ job: sent, state: "queued", worker: "", cancelled: false });
      return broker.enqueue([sent]);
    }
    case "again": {
      const known = model.at(step.pick);
      // A dispatch that the broker has let go is never sent again at the same fence: its row has ended.
      if (!known || (known.state === "gone" && step.bump === 0)) return;
      const sent = { ...known.job, fence: known.job.fence + step.bump };
      if (step.bump > 0) {
        model.known.splice(model.known.indexOf(known), 1);
        model.known.push({ job: sent, state: "queued", worker: "", cancelled: false });
      }
      return broker.enqueue([sent]);
    }
    case "claim":
      return claim(bench, model, step);
    case "settle": {
      const known = model.at(step.pick);
      if (!known) return;
      const takes = known.state === "leased" && known.worker === step.worker && step.fence === 0;
      const ref = { id: known.job.id, fence: known.job.fence + step.fence, at: clock.now() };
      const outcome =
        step.kind === "done" ? { kind: "done" as const, ...ref, result: "1" } : { kind: "released" as const, ...ref };
      expect(await broker.settle(step.worker, [outcome])).toEqual([takes ? "taken" : "lease lost"]);
      if (!takes) return;
      known.state = "gone";
      return model.emit(step.kind, known);
    }
    case "cancel": {
      const known = model.at(step.pick);
      if (!known) return;
      if (known.state === "queued") known.state = "gone";
      if (known.state === "leased") known.cancelled = true;
      return broker.cancel([known.job.id]);
    }
    case "heartbeat": {
      const held = model.held(step.worker);
      const others = model.known.filter((each) => !held.includes(each)).slice(0, 3);
      const answer = await broker.heartbeat(
        step.worker,
        [...held, ...others].map((each) => each.job),
      );
      expect(ids(answer.lost).sort()).toEqual(others.map((each) => each.job.id).sort());
      expect([...answer.cancelled].sort()).toEqual(
        held
          .filter((each) => each.cancelled)
          .map((each) => each.job.id)
          .sort(),
      );
      model.beats.set(step.worker, clock.now());
      return;
    }
    case "advance":
      return clock.advance(step.ms);
    case "reap": {
      const silent = WORKERS.filter((each) => clock.now() - (model.beats.get(each) ?? 0) > LEASE_MS);
      const lost = silent.flatMap((each) => model.held(each));
      await bench.recordAll();
      expect(await broker.reap()).toBe(lost.length);
      // In which order they are lost is nobody's business.
      const mark = model.events.length;
      for (const each of lost) {
        each.state = "gone";
        model.emit("lost", each);
      }
      const seen = (await bench.recordAll()).slice(mark).map(written);
      expect([...seen].sort()).toEqual(model.events.slice(mark).sort());
      model.events.splice(mark, lost.length, ...seen);
    }
  }
}

/** Which jobs a claim gets is fairness's business; that they are the heads of their lanes, and as many as can be, is everybody's. */
async function claim(bench: Bench, model: Model, step: Extract<Step, { do: "claim" }>): Promise<void> {
  const queued = model.queued(step.alone);
  const got = await bench.claim(step.worker, step.max, { alone: step.alone });
  expect(got).toHaveLength(Math.min(step.max, queued.length));
  for (const lane of new Set(got.map(laneOf))) {
    const mine = got.filter((each) => laneOf(each) === lane);
    expect(mine).toEqual(
      queued
        .map((each) => each.job)
        .filter((each) => laneOf(each) === lane)
        .slice(0, mine.length),
    );
  }
  for (const each of got) {
    const known = queued.find((other) => other.job.id === each.id) as Known;
    known.state = "leased";
    known.worker = step.worker;
    model.emit("started", known);
  }
  if (got.length > 0) model.beats.set(step.worker, bench.clock.now());
}

/** Whatever happened, what is left can be claimed and ended, each job once. */
async function finish(bench: Bench, model: Model): Promise<void> {
  const refs = model.known.map((each) => each.job);
  await bench.recordAll();
  expect(ids(await bench.broker.missing(refs)).sort()).toEqual(
    model.known
      .filter((each) => each.state === "gone")
      .map((each) => each.job.id)
      .sort(),
  );
  for (const alone of [false, true]) {
    const left = model.queued(alone);
    const got = await bench.claim("last", left.length + 1, { alone });
    expect(ids(got).sort()).toEqual(left.map((each) => each.job.id).sort());
    for (const each of got) model.events.push(`started ${each.id} ${each.fence}`);
    await bench.broker.settle(
      "last",
      got.map((each) => bench.done(each)),
    );
    for (const each of got) model.events.push(`done ${each.id} ${each.fence}`);
  }
  for (const by of WORKERS) {
    const held = model.held(by);
    const results = await bench.broker.settle(
      by,
      held.map((each) => bench.done(each.job)),
    );
    expect(results.every((result) => result === "taken")).toBe(true);
    for (const each of held) model.emit("done", each);
  }
  expect(byJob((await bench.recordAll()).map(written))).toEqual(byJob(model.events));
  expect(ids(await bench.broker.missing(refs)).sort()).toEqual(ids(refs).sort());
}

export function modelContract(open: () => Promise<Bench>): void {
  describe("random histories", () => {
    test("agree with a model made of lists", async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(steps, { maxLength: 60, size: "max" }), async (history) => {
          await using bench = await open();
          const model = new Model();
          for (const step of history) await take(bench, model, step);
          await finish(bench, model);
        }),
        { numRuns: 300, timeout: 5_000 },
      );
    });
  });
}

/** Each job's events in their order; how those of different jobs lie to each other is the broker's affair. */
function byJob(events: readonly string[]): Record<string, string[]> {
  const jobs: Record<string, string[]> = {};
  for (const event of events) {
    const [kind = "", id = "", fence = ""] = event.split(" ");
    jobs[id] ??= [];
    jobs[id].push(`${kind} ${fence}`);
  }
  return jobs;
}
