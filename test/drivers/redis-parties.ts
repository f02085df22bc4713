/** What the tests of the Redis driver share: a log that can be waited for, and the parties of an installation. */
import { expect } from "bun:test";
import { RedisBroker } from "../../src/drivers/redis/broker.ts";
import { MAX_ENTRIES, RedisClaims } from "../../src/drivers/redis/claims.ts";
import { Keys } from "../../src/drivers/redis/keys.ts";
import { Link } from "../../src/drivers/redis/link.ts";
import { connector } from "../../src/drivers/redis/url.ts";
import { systemClock, systemRandom } from "../../src/drivers/system.ts";
import type { Job, JobRef, Outcome, ProgressReport } from "../../src/ports/broker.ts";
import type { Clock, Log } from "../../src/ports/runtime.ts";
import { Bench, ids, job } from "../contracts/bench.ts";
import type { ManualClock } from "../support/manual-runtime.ts";
import { eventually, PATIENCE_MS, within } from "../support/waiting.ts";

/** A log that tests can read and wait for. */
export class Journal {
  /** "LEVEL MESSAGE FIELDS" */
  readonly lines: string[] = [];
  readonly log: Log;
  readonly #looks = new Set<() => void>();

  constructor() {
    const at = (level: string) => (message: string, fields?: Record<string, unknown>) => {
      this.lines.push(`${level} ${message} ${JSON.stringify(fields ?? {})}`);
      for (const look of this.#looks) look();
    };
    this.log = { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
  }

  of(pattern: RegExp): string[] {
    return this.lines.filter((line) => pattern.test(line));
  }

  /** Waits until so many lines are like this. */
  async says(pattern: RegExp, count = 1): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = (): void => {
      if (this.of(pattern).length >= count) resolve();
    };
    this.#looks.add(look);
    look();
    await within(promise, `${pattern} of the log`, () => this.lines.join("\n")).finally(() => this.#looks.delete(look));
  }
}

/** Counts calls, and waits for them. */
export class Calls {
  count = 0;
  readonly #waiting = new Set<() => void>();

  constructor(subscribe: (listener: () => void) => unknown) {
    subscribe(() => {
      this.count += 1;
      for (const look of this.#waiting) look();
    });
  }

  /** Resolves with the first call from now on. */
  async next(what: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.add(resolve);
    await within(promise, what).finally(() => this.#waiting.delete(resolve));
  }
}

export interface OpenOptions {
  readonly namespace?: string;
  /** Undefined: a worker process. */
  readonly owner?: string;
  /** By default the system's, and leases by the server's. */
  readonly clock?: ManualClock;
  readonly journal?: Journal;
}

/** A broker, connected or not. */
export function openBroker(
  url: string,
  { namespace = "test", owner, clock, journal = new Journal() }: OpenOptions = {},
): RedisBroker {
  return new RedisBroker({
    connector: connector(url),
    keys: new Keys(namespace),
    owner,
    clock: clock ?? systemClock,
    serverTime: clock,
    elapsed: clock && (() => clock.elapsed()),
    random: systemRandom,
    log: journal.log,
  });
}

export const done = ({ id, fence }: JobRef): Outcome => ({ kind: "done", id, fence, at: 1, result: '"yes"' });

/** Waits for one that `fits`. */
async function heard<T>(
  subscribe: (listener: (value: T) => void) => () => void,
  fits: (value: T) => boolean,
  what: string,
): Promise<T> {
  const { promise, resolve } = Promise.withResolvers<T>();
  const unsubscribe = subscribe((value) => {
    if (fits(value)) resolve(value);
  });
  return await within(promise, what).finally(unsubscribe);
}

let opened = 0;

/** One installation: an API node with a reader in the recorder's place, a worker process and one of its threads. */
export class Parties implements AsyncDisposable {
  readonly worker: string;
  readonly journal = new Journal();
  readonly api: RedisBroker;
  readonly node: RedisBroker;
  readonly thread: RedisClaims;
  readonly threadLink: Link;
  readonly reader: Bench;
  readonly #readies: readonly Calls[];

  private constructor(url: string, options: Omit<OpenOptions, "journal">) {
    opened += 1;
    this.worker = `worker-${opened}`;
    const { namespace = "test", owner = "data", clock = systemClock } = options;
    this.api = openBroker(url, { ...options, namespace, owner, journal: this.journal });
    const { owner: _, ...worker } = options;
    this.node = openBroker(url, { ...worker, namespace });
    const parts = { connector: connector(url), keys: new Keys(namespace), random: systemRandom };
    this.threadLink = new Link({ ...parts, clock, log: new Journal().log });
    this.thread = new RedisClaims(this.threadLink, options.clock);
    this.#readies = [this.api, this.node, this.threadLink].map((each) => new Calls((listener) => each.onReady(listener)));
    this.reader = new Bench({ broker: this.api, clock: clockOf(clock), maxUnrecorded: MAX_ENTRIES, stop: () => this.api.stop() });
  }

  /** Resolves once all can use Redis. */
  static async open(url: string, options: Omit<OpenOptions, "journal"> = {}): Promise<Parties> {
    const parties = new Parties(url, options);
    await parties.nextReady();
    return parties;
  }

  /** Resolves when all have said that they are ready, from now on. */
  async nextReady(): Promise<void> {
    await Promise.all(this.#readies.map((calls) => calls.next("ready")));
  }

  get epoch(): string {
    return this.api.link.epoch;
  }

  claim(max: number, tasks: readonly string[] = ["job"]): Promise<readonly Job[]> {
    return this.thread.claim({ worker: this.worker, max, tasks, alone: false });
  }

  settle(...jobs: readonly JobRef[]) {
    return this.thread.settle(this.worker, jobs.map(done));
  }

  /** How often an outcome of this job has been read. */
  outcomes(of: JobRef): number {
    return this.reader.seen.filter(({ kind, id }) => id === of.id && kind !== "started").length;
  }

  /** One job's whole way, with all signals beside it. Whoever is deaf or dumb does not pass. */
  async pass(): Promise<void> {
    const { api, node, thread, reader } = this;
    const worker = `${this.worker}-passing`;
    const one = job({ name: `pass-${crypto.randomUUID()}` });
    const work = heard<void>(
      (listener) => node.onWork(() => listener()),
      () => true,
      "work",
    );
    await api.enqueue([one]);
    await work;
    expect(await thread.claim({ worker, max: 1, tasks: [one.name], alone: false })).toEqual([one]);
    await this.#hearsProgress(one);

    const asked = heard<readonly string[]>(
      (listener) => node.onCancel(listener),
      (cancelled) => cancelled.includes(one.id),
      "cancel",
    );
    await api.cancel([one.id]);
    await asked;
    expect(await node.heartbeat(worker, [one])).toMatchObject({ cancelled: [one.id], lost: [] });

    expect(await thread.settle(worker, [{ kind: "cancelled", id: one.id, fence: 1, at: 1 }])).toEqual(["taken"]);
    const events = () => reader.seen.filter(({ id }) => id === one.id).map(({ kind }) => kind);
    await within(
      reader.until(() => events().includes("cancelled")),
      "the outcome",
    );
    expect(events()).toEqual(["started", "cancelled"]);
    await reader.recordAll();
    expect(ids(await api.missing([one]))).toEqual([one.id]);
  }

  /** Nobody says when a subscription stands, so it is reported until it is heard. */
  async #hearsProgress({ id, fence }: JobRef): Promise<void> {
    const reports: ProgressReport[] = [{ id, fence, progress: 0.5, message: "half", at: 1 }];
    let last: readonly ProgressReport[] | undefined;
    const unsubscribe = this.api.onProgress((got) => {
      if (got[0]?.id === id) last = got;
    });
    await eventually(() => {
      this.thread.report(reports);
      return last;
    }, "progress");
    unsubscribe();
    expect(last).toEqual(reports);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.thread.stop();
    this.threadLink.stop();
    await this.node.stop();
    await this.reader[Symbol.asyncDispose]();
  }
}

const clockOf = (clock: Clock) => ({ now: () => clock.now(), advance() {} });

/** Resolves once the broker can be used. */
export async function usable(broker: RedisBroker): Promise<void> {
  await broker.link.whenReady(PATIENCE_MS);
  expect(broker.trouble()).toBeUndefined();
}
