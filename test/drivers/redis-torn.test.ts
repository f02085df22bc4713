import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { createHash } from "node:crypto";
import { Keys } from "../../src/drivers/redis/keys.ts";
import { SCRIPTS, type ScriptName } from "../../src/drivers/redis/scripts.ts";
import { HEARTBEAT_MS, type Job, type JobRef } from "../../src/ports/broker.ts";
import { several } from "../contracts/bench.ts";
import { ManualClock } from "../support/manual-runtime.ts";
import { TcpProxy } from "../support/proxy.ts";
import { RedisServer, redisPath } from "../support/redis-server.ts";
import { LIMIT_MS, SEED, seeded } from "../support/waiting.ts";
import { Parties } from "./redis-parties.ts";

setDefaultTimeout(LIMIT_MS);

/** More rounds than that need only jobs that got lost. */
const MAX_ROUNDS = 200;

/** Plays whoever feeds the broker, and a worker that takes what there is and ends it: round by round, until every job is done. */
class Rounds {
  readonly #parties: Parties;
  readonly #clock: ManualClock;
  /** Those not done yet, at their latest fence. */
  readonly #open: Map<string, Job>;
  #read = 0;

  constructor(parties: Parties, clock: ManualClock, jobs: readonly Job[]) {
    this.#parties = parties;
    this.#clock = clock;
    this.#open = new Map(jobs.map((each) => [each.id, each]));
  }

  /** Goes on until every job is done, and the mishap has happened. */
  async untilAllDone(mishap: Promise<void>): Promise<void> {
    let happened = false;
    void mishap.then(() => {
      happened = true;
    });
    for (let round = 0; this.#open.size > 0 || !happened; round += 1) {
      if (round > MAX_ROUNDS) throw new Error(`${this.#open.size} jobs got lost, ${happened ? "" : "and nothing happened"}`);
      await this.#once();
    }
  }

  async #once(): Promise<void> {
    const { api, node, worker } = this.#parties;
    const links = [api.link, node.link, this.#parties.threadLink];
    await Promise.all(links.map((link) => link.whenReady(LIMIT_MS)));
    const open = [...this.#open.values()];
    const missing = new Set((await orNone(api.missing(open))).map(({ id }) => id));
    await api.enqueue(open.filter(({ id }) => missing.has(id)));
    const got = await orNone(this.#parties.claim(3, ["torn"]));
    await this.#parties.thread.log(got.map(({ id, fence }) => ({ id, fence, log: [{ at: 1, level: "info", message: "here" }] })));
    await this.#parties.settle(...got);
    // What a claim brought that nobody heard of goes back after two heartbeats.
    this.#clock.advance(HEARTBEAT_MS);
    await node.heartbeat(worker, []).catch(() => {});
    await this.#parties.reader.recordAll();
    this.#heed();
  }

  #heed(): void {
    const { seen } = this.#parties.reader;
    for (const { kind, id, fence } of seen.slice(this.#read)) {
      const of = this.#open.get(id);
      if (of?.fence !== fence) continue;
      if (kind === "done") this.#open.delete(id);
      if (kind === "released" || kind === "lost") this.#open.set(id, { ...of, fence: fence + 1 });
    }
    this.#read = seen.length;
  }
}

const orNone = async <T>(found: Promise<readonly T[]>): Promise<readonly T[]> => await found.catch(() => []);

/** Tells calls of a script: a connection sends it whole at first, then by its hash. */
function asksFor(name: ScriptName): (request: string) => boolean {
  const { lua } = SCRIPTS[name];
  const hash = createHash("sha1").update(lua).digest("hex");
  return (request) => request.includes(hash) || request.includes(lua);
}

/** What comes twice of an end is a job that was ended twice. */
function expectEndedOnce({ reader }: Parties, jobs: readonly JobRef[]): void {
  const ends = Map.groupBy(
    reader.seen.filter(({ kind }) => kind === "done"),
    ({ id }) => id,
  );
  expect(jobs.filter(({ id }) => ends.get(id)?.length !== 1)).toEqual([]);
}

/** Every connection of these parties. */
const CONNECTIONS = { artel: 3, "artel-events": 1, "artel-progress": 1, "artel-signals": 1 };
/** No answer to a script is shorter: it begins with an epoch. In bytes. */
const SHORT = 46;
/** Less than a claim of three jobs is answered, in bytes. */
const LONG = 1_000;

describe.skipIf(redisPath === undefined)("a connection that breaks half-way through an answer", () => {
  const { events } = new Keys("test");
  const wait = `STREAMS\r\n$${events.length}\r\n${events}`;
  const questions: [string, (request: string) => boolean][] = [
    ...(["enqueue", "claim", "settle", "acknowledge", "heartbeat", "missing", "log"] as const).map(
      (name): [string, (request: string) => boolean] => [name, asksFor(name)],
    ),
    ["a look for events", (request) => request.includes("xrange")],
    ["a wait for events", (request) => request.includes(wait)],
  ];
  test.concurrent.each(questions)("to %s: every job ends once", async (name, asks) => {
    console.log(`cut in an answer to ${name}: ARTEL_TEST_SEED=${SEED}`);
    const random = seeded(SEED);
    await using server = await RedisServer.start();
    using proxy = new TcpProxy(server.port);
    const clock = new ManualClock();
    await using parties = await Parties.open(proxy.url, { clock });
    await parties.pass();
    for (let at = 0; at < 6; at += 1) {
      const jobs = several(8, { name: "torn", args: JSON.stringify("x".repeat(300)) });
      const bytes = Math.floor(random() * (name === "claim" ? LONG : SHORT));
      await new Rounds(parties, clock, jobs).untilAllDone(proxy.cut(asks, bytes));
      expectEndedOnce(parties, jobs);
    }
    await parties.pass();
    await server.hasClients(CONNECTIONS);
    expect(proxy.connections).toBe(6);
  });
});
