/** What a mishap of Redis finds, and what must hold when it is over. */
import { expect } from "bun:test";
import type { Job, Offset, SettleResult } from "../../src/ports/broker.ts";
import { ids, job } from "../contracts/bench.ts";
import type { Parties } from "./redis-parties.ts";

export const AWAY = /Redis is out of reach/;
export const BACK = /Redis is back/;
export const WIPED = /Redis has lost its data/;

/** What a mishap finds. */
export class Scene {
  readonly parties: Parties;
  readonly held: Job;
  /** Its outcome is sent while Redis is away. */
  readonly ended: Job;
  readonly queued: Job;
  readonly epoch: string;
  readonly offset: Offset;

  private constructor(parties: Parties, [held, ended, queued]: readonly [Job, Job, Job]) {
    this.parties = parties;
    this.held = held;
    this.ended = ended;
    this.queued = queued;
    this.epoch = parties.epoch;
    this.offset = parties.reader.offset as Offset;
  }

  static async set(parties: Parties): Promise<Scene> {
    const [held, ended, queued] = [job(), job(), job()];
    await parties.pass();
    await parties.api.enqueue([held, ended, queued]);
    expect(await parties.claim(2)).toEqual([held, ended]);
    expect(await parties.node.heartbeat(parties.worker, [held, ended])).toEqual({ cancelled: [], lost: [] });
    await parties.reader.recordAll();
    await parties.reader.hold();
    return new Scene(parties, [held, ended, queued]);
  }

  /** Everything that a lost or doubtful Redis must do; `wiped`: it has lost its data. */
  async expectRecovered(settled: Promise<readonly SettleResult[]>, wiped: boolean): Promise<void> {
    const { parties, held, ended, queued } = this;
    const { api, node, reader, worker } = parties;
    expect(parties.epoch).not.toBe(this.epoch);
    expect(await settled).toEqual(["taken"]);
    expect(ids(await api.missing([held, queued]))).toEqual(wiped ? ids([held, queued]) : []);
    expect(await node.heartbeat(worker, [held])).toEqual({ cancelled: [], lost: [] });
    expect(ids(await api.missing([held, queued]))).toEqual(wiped ? [queued.id] : []);
    expect(await api.reap()).toBe(0);
    await this.#expectReadFromTheBeginning();
    reader.resume();

    // Whoever feeds it sends what is missing; what is there is left as it is.
    await api.enqueue([held, queued]);
    expect(await parties.claim(9)).toEqual([queued]);
    expect(await parties.settle(held, queued)).toEqual(["taken", "taken"]);
    await parties.pass();
    for (const each of [held, ended, queued]) expect(parties.outcomes(each)).toBe(1);
    expect(reader.offset?.epoch).toBe(parties.epoch);
  }

  /** However far the old offset was, and whatever ids the new entries have. What was sent has come once. */
  async #expectReadFromTheBeginning(): Promise<void> {
    const { parties, ended } = this;
    for (const id of [this.offset.id, "9999999999999-0"]) {
      const page = await parties.api.events({ epoch: this.epoch, id }, 1_000, true);
      expect(page.events.filter(({ kind }) => kind === "done").map((event) => event.id)).toEqual([ended.id]);
      expect(page.offset.epoch).toBe(parties.epoch);
    }
  }
}

/** Redis is away in the middle of work: nobody waits for it but those who settle. */
export async function expectAway({ parties, held }: Scene): Promise<void> {
  const { api, node, worker } = parties;
  await parties.journal.says(AWAY);
  await api.enqueue([job()]);
  await api.cancel([held.id.toUpperCase()]);
  expect(await api.events(null, 9)).toMatchObject({ events: [], more: false });
  expect(await api.reap()).toBe(0);
  const calls = [() => parties.claim(1), () => node.heartbeat(worker, [held]), () => api.missing([held]), () => api.workers()];
  for (const call of calls) {
    const message = expect.stringMatching(/^Redis cannot be used: \S/);
    await expect(call()).rejects.toMatchObject({ code: "redis_unavailable", message });
  }
  expect(api.trouble()).toBeString();
}

/** Every reason was told once, and its end. */
export function expectToldOnce({ journal }: Parties, back = 1): void {
  expect(new Set(journal.of(AWAY)).size).toBe(journal.of(AWAY).length);
  expect(journal.of(BACK)).toHaveLength(back);
}
