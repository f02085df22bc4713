import type { Broker, BrokerEvent, ClaimRequest, Job, JobRef, Offset, Outcome } from "../../src/ports/broker.ts";

/** A broker of one driver, fresh and empty, whose time the suite moves. */
export interface BrokerUnderTest {
  readonly broker: Broker;
  readonly clock: { now(): number; advance(ms: number): void | Promise<void> };
  /** So many unrecorded events stop claims. */
  readonly maxUnrecorded: number;
  stop(): Promise<void>;
}

export type BrokerFactory = () => Promise<BrokerUnderTest>;

/**
 * The broker with a reader in the recorder's place: it reads events as they come and acknowledges them, unless it is
 * held back. Tests wait on what it has seen.
 */
export class Bench implements AsyncDisposable {
  readonly broker: Broker;
  readonly clock: BrokerUnderTest["clock"];
  readonly maxUnrecorded: number;
  /** Every event, in order. */
  readonly seen: BrokerEvent[] = [];
  offset: Offset | null = null;
  readonly #under: BrokerUnderTest;
  readonly #unsubscribe: () => void;
  #held = false;
  #again = false;
  #pumping: Promise<void> | undefined;
  #waiting: (() => void)[] = [];

  constructor(under: BrokerUnderTest) {
    this.#under = under;
    this.broker = under.broker;
    this.clock = under.clock;
    this.maxUnrecorded = under.maxUnrecorded;
    this.#unsubscribe = this.broker.onEvents(() => this.#poke());
    this.#poke();
  }

  /** Stops reading: events stay unrecorded until `resume`. */
  async hold(): Promise<void> {
    this.#held = true;
    await this.#pumping;
  }

  resume(): void {
    this.#held = false;
    this.#poke();
  }

  /** Resolves once `done` holds; looked at with each page of events. */
  async until(done: () => boolean): Promise<void> {
    while (!done()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Everything that the broker emitted until now is read and acknowledged: a log line of this call's own has come through. */
  async recordAll(): Promise<readonly BrokerEvent[]> {
    const mark: JobRef = { id: `mark-${crypto.randomUUID()}`, fence: 1 };
    await this.broker.log([{ ...mark, log: [{ at: 0, level: "debug", message: "mark" }] }]);
    await this.until(() => this.seen.some((event) => event.id === mark.id));
    await this.#pumping;
    const marked = this.seen.findIndex((event) => event.id === mark.id);
    this.seen.splice(marked, 1);
    return this.seen;
  }

  /** Kinds of the events of one job, in order. */
  async kindsOf(id: string): Promise<readonly string[]> {
    return (await this.recordAll()).filter((event) => event.id === id).map((event) => event.kind);
  }

  claim(worker: string, max: number, more: Partial<ClaimRequest> = {}): Promise<readonly Job[]> {
    return this.broker.claim({ worker, max, tasks: ["job", "other"], alone: false, ...more });
  }

  /** Claims one and says which; undefined: there was none. */
  async next(worker = "w", more: Partial<ClaimRequest> = {}): Promise<string | undefined> {
    return (await this.claim(worker, 1, more))[0]?.id;
  }

  done(ref: JobRef): Outcome {
    return { kind: "done", id: ref.id, fence: ref.fence, at: this.clock.now(), result: '"yes"' };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#unsubscribe();
    this.#held = true;
    await this.#pumping;
    await this.#under.stop();
  }

  #poke(): void {
    this.#again = true;
    if (this.#held) return;
    this.#pumping ??= this.#pump().finally(() => {
      this.#pumping = undefined;
      if (this.#again && !this.#held) this.#poke();
    });
  }

  async #pump(): Promise<void> {
    while (this.#again && !this.#held) {
      this.#again = false;
      const page = await this.broker.events(this.offset, 1_000, true);
      if (page.events.length === 0) continue;
      this.seen.push(...page.events);
      await this.broker.acknowledge(page.offset);
      this.offset = page.offset;
      this.#again = true;
      for (const resolve of this.#waiting.splice(0)) resolve();
    }
  }
}

let jobs = 0;
/** A job of its own; what matters to a test is given. */
export function job(of: Partial<Job> = {}): Job {
  jobs += 1;
  const id = of.id ?? `job-${jobs}`;
  return {
    id,
    fence: 1,
    name: "job",
    queue: "default",
    priority: "normal",
    owner: "anna",
    attempt: 1,
    maxAttempts: 3,
    alone: false,
    args: `{"for":"${id}"}`,
    ...of,
  };
}

export const several = (count: number, of: Partial<Job> = {}): Job[] => Array.from({ length: count }, () => job(of));
/** As many of them as a test names. */
export const some = (): [Job, Job, Job, Job] => [job(), job(), job(), job()];
export const ids = (of: readonly JobRef[]): string[] => of.map(({ id }) => id);
