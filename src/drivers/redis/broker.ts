import type {
  Broker,
  ClaimRequest,
  EventPage,
  HeartbeatAnswer,
  HeldJob,
  Job,
  JobRef,
  LimitUse,
  LogLine,
  NewWork,
  Offset,
  Outcome,
  ProgressReport,
  Restraints,
  SettleResult,
  Unsubscribe,
  WorkerInfo,
  WorkerView,
} from "../../ports/broker.ts";
import { HEARTBEAT_MS, LEASE_MS, newWork } from "../../ports/broker.ts";
import type { Clock } from "../../ports/runtime.ts";
import { linesOf, RedisClaims } from "./claims.ts";
import { EventStream } from "./event-stream.ts";
import { FormerVersions } from "./former-versions.ts";
import { messageOf } from "./job-text.ts";
import { lineOf, whoOf } from "./keys.ts";
import { Link, type LinkParts } from "./link.ts";
import { ProgressChannel } from "./progress-channel.ts";
import { Restraint } from "./restraint.ts";
import { SignalStream } from "./signal-stream.ts";

/** Jobs of one call to a script: so many, and so many characters of messages. */
const PAGE_JOBS = 500;
const PAGE_CHARS = 1024 * 1024;
/** After jobs could not be sent on a standing connection, whoever feeds the broker looks again, in milliseconds. */
const LOOK_AGAIN_MS = 1_000;
/** What a worker was sent so long ago and does not speak of, its answer never reached it, in milliseconds. */
const UNHEARD_MS = 2 * HEARTBEAT_MS;
/** The server's clock has jumped where it went so much more or less than time did here, in milliseconds. */
const JUMP_MS = 2_000;

export interface RedisBrokerParts extends LinkParts {
  /** Leases are measured by it; by default the server's own clock. */
  readonly serverTime?: Clock | undefined;
  /** The life of the data that the rows have seen last; undefined: none. */
  readonly lastEpoch?: string | undefined;
  /** Milliseconds that go on evenly while clocks are set; by default the process's own. */
  readonly elapsed?: (() => number) | undefined;
}

/**
 * The broker on Redis lists. Everything that takes more than one step is one script; every call works on a batch. It keeps
 * nothing that cannot be fed again from the rows.
 */
export class RedisBroker implements Broker {
  readonly kind = "redis";
  readonly link: Link;
  readonly #claims: RedisClaims;
  readonly #events: EventStream;
  readonly #signals: SignalStream;
  readonly #progress: ProgressChannel;
  readonly #restraint: Restraint;
  readonly #serverTime: Clock | undefined;
  readonly #elapsed: () => number;
  /** Cancellations that could not be told. */
  readonly #owed = new Set<string>();
  /** The epoch at each worker's last heartbeat; before that they have seen none but this. */
  readonly #beatIn = new Map<string, string>();
  #firstEpoch = "";
  /** The server's clock and the time here when it was last asked. */
  #clocks: { readonly server: number; readonly here: number } | undefined;
  /** Nobody's lease ends before this side has seen everybody for as long as one; by the time here. */
  #watchingSince = 0;
  #lookAgain: ReturnType<typeof setTimeout> | undefined;
  readonly #listeners = new Set<() => void>();

  constructor(parts: RedisBrokerParts) {
    this.#serverTime = parts.serverTime;
    this.#elapsed = parts.elapsed ?? (() => performance.now());
    this.link = new Link(parts);
    this.#claims = new RedisClaims(this.link, parts.serverTime);
    this.#events = new EventStream(this.link);
    this.#signals = new SignalStream(this.link, parts.random.uuid());
    this.#progress = new ProgressChannel(this.link);
    this.#restraint = new Restraint(this.link, parts);
    if (parts.owner !== undefined) new FormerVersions(this.link);
    this.link.onReady(() => this.#greeted());
  }

  trouble(): string | undefined {
    return this.link.trouble;
  }

  onReady(listener: () => void): Unsubscribe {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** What cannot be sent now is found missing later: `onReady` calls when it is time to look. */
  async enqueue(jobs: readonly Job[]): Promise<void> {
    try {
      for (let at = 0; at < jobs.length; ) at += await this.#enqueuePage(jobs, at);
    } catch (error) {
      this.link.complain("could not enqueue", error);
      if (this.link.ready) this.#lookAgainSoon();
    }
  }

  restrain(restraints: Restraints): Promise<void> {
    return this.#restraint.set(restraints);
  }

  limitUse(names: readonly string[], owner?: string): Promise<readonly LimitUse[]> {
    return this.#restraint.use(names, owner);
  }

  async cancel(ids: readonly string[]): Promise<void> {
    for (const id of ids) this.#owed.add(id);
    try {
      await this.#tellCancelled();
    } catch (error) {
      this.link.complain("could not cancel", error);
    }
  }

  async missing(refs: readonly JobRef[]): Promise<readonly JobRef[]> {
    if (refs.length === 0) return [];
    const known = await this.link.run(
      "missing",
      refs.map(({ id }) => id),
    );
    return refs.filter(({ fence }, i) => Number(known[i]) < fence);
  }

  events(from: Offset | null, limit: number, toTheEnd = false): Promise<EventPage> {
    return this.#events.events(from, limit, toTheEnd);
  }

  acknowledge(offset: Offset): Promise<void> {
    return this.#events.acknowledge(offset);
  }

  async reap(): Promise<number> {
    const here = this.#elapsed();
    // Where Redis was away or its clock jumped, nobody could renew a lease: they get as long as one lasts.
    if (here - this.#watchingSince <= LEASE_MS) return 0;
    const [server, count] = await this.link.run("reap", [
      this.#serverTime?.now() ?? "",
      this.link.clock.now(),
      LEASE_MS,
      this.#clocks ? Math.round(this.#clocks.server + here - this.#clocks.here) : "",
      JUMP_MS,
    ]);
    this.#compareClocks(Number(server), here);
    return Number(count);
  }

  claim(request: ClaimRequest): Promise<readonly Job[]> {
    return this.#claims.claim(request);
  }

  settle(worker: string, outcomes: readonly Outcome[]): Promise<readonly SettleResult[]> {
    return this.#claims.settle(worker, outcomes);
  }

  async heartbeat(worker: string, held: readonly HeldJob[], info?: WorkerInfo): Promise<HeartbeatAnswer> {
    const here = this.#elapsed();
    const [server, cancelled, lost] = await this.link.run("heartbeat", [
      worker,
      this.#beatIn.get(worker) ?? this.#firstEpoch,
      this.#serverTime?.now() ?? "",
      this.link.clock.now(),
      UNHEARD_MS,
      info === undefined ? "" : JSON.stringify(info),
      held.map((job) => `${linesOf([job])}${whoOf(job)}`).join("\n"),
    ]);
    this.#beatIn.set(worker, this.link.epoch);
    this.#compareClocks(Number(server), here);
    const gone = new Set(lost as string[]);
    return { cancelled: cancelled as string[], lost: held.filter((ref) => gone.has(linesOf([ref]))) };
  }

  async leave(worker: string): Promise<void> {
    await this.link.run("leave", [worker, this.link.clock.now()]);
  }

  async workers(): Promise<readonly WorkerView[]> {
    const { workers, crew } = this.link.keys;
    const [beats, infos] = await this.link.call((client) =>
      Promise.all([client.zrange(workers, "0", "-1", "WITHSCORES"), client.hgetall(crew)]),
    );
    const views: Promise<WorkerView>[] = [];
    for (let i = 0; i + 1 < beats.length; i += 2) {
      const [id, seenAt] = [beats[i] as string, Number(beats[i + 1])];
      const info = infos[id];
      if (info === undefined) continue;
      const running = this.link.call((client) => client.hlen(this.link.keys.held(id)));
      views.push(running.then((count) => ({ ...(JSON.parse(info) as WorkerInfo), id, seenAt, running: count })));
    }
    return await Promise.all(views);
  }

  log(lines: readonly (JobRef & { readonly log: readonly LogLine[] })[]): Promise<void> {
    return this.#claims.log(lines);
  }

  report(reports: readonly ProgressReport[]): void {
    this.#claims.report(reports);
  }

  onEvents(listener: () => void): Unsubscribe {
    return this.#events.onEvents(listener);
  }

  onProgress(listener: (reports: readonly ProgressReport[]) => void): Unsubscribe {
    return this.#progress.on(listener);
  }

  onWork(listener: (work: NewWork) => void): Unsubscribe {
    const unsubscribe = [this.#signals.onWork(listener), this.#claims.onWork(listener)];
    return () => {
      for (const each of unsubscribe) each();
    };
  }

  onCancel(listener: (ids: readonly string[]) => void): Unsubscribe {
    return this.#signals.onCancel(listener);
  }

  async stop(): Promise<void> {
    clearTimeout(this.#lookAgain);
    this.#claims.stop();
    this.#events.stop();
    this.#signals.stop();
    this.#progress.stop();
    this.link.stop();
  }

  #greeted(): void {
    this.#firstEpoch ||= this.link.epoch;
    this.#watchingSince = this.#elapsed();
    this.#tellCancelled().catch((error: unknown) => this.link.complain("could not cancel", error));
    for (const listener of [...this.#listeners]) listener();
  }

  /** @returns how many jobs one call has taken */
  async #enqueuePage(jobs: readonly Job[], from: number): Promise<number> {
    const lanes = new Map<string, { line: string; owner: string; refs: JobRef[]; messages: string[] }>();
    let chars = 0;
    let at = from;
    for (; at < jobs.length && at - from < PAGE_JOBS && chars < PAGE_CHARS; at += 1) {
      const job = jobs[at] as Job;
      const message = messageOf(job);
      chars += message.length;
      const line = lineOf(job);
      const lane = lanes.get(line + job.owner) ?? { line, owner: job.owner, refs: [], messages: [] };
      lanes.set(line + job.owner, lane);
      lane.refs.push(job);
      lane.messages.push(message);
    }
    const args = [...lanes.values()].flatMap(({ line, owner, refs, messages }) => [
      line,
      owner,
      linesOf(refs),
      messages.join("\n"),
    ]);
    const work = newWork(jobs.slice(from, at));
    const [refused] = await this.link.run("enqueue", [this.#restraint.toldIn, this.#signals.signalOf(work), ...args]);
    // Not before: threads ask on connections of their own, and who asks too early is not called again. What is not taken is
    // found missing once the new life is told of the limits.
    if (refused === undefined) this.#signals.sent(work);
    return at - from;
  }

  #lookAgainSoon(): void {
    this.#lookAgain ??= setTimeout(() => {
      this.#lookAgain = undefined;
      for (const listener of [...this.#listeners]) listener();
    }, LOOK_AGAIN_MS);
  }

  async #tellCancelled(): Promise<void> {
    while (this.#owed.size > 0) {
      const ids = [...this.#owed].slice(0, PAGE_JOBS);
      await this.link.run("cancel", ids);
      for (const id of ids) this.#owed.delete(id);
    }
  }

  #compareClocks(server: number, here: number): void {
    const before = this.#clocks;
    this.#clocks = { server, here };
    if (before && Math.abs(server - before.server - (here - before.here)) > JUMP_MS) this.#watchingSince = here;
  }
}
