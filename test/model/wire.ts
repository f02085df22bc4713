import { Unavailable } from "../../src/domain/errors.ts";
import { Signal } from "../../src/drivers/signal.ts";
import type {
  Broker,
  BrokerEvent,
  ClaimRequest,
  EventPage,
  HeartbeatAnswer,
  Job,
  JobRef,
  LimitUse,
  Offset,
  Outcome,
  Restraints,
  SettleResult,
  Unsubscribe,
  WorkerView,
} from "../../src/ports/broker.ts";

const NO_CALLS = (): Unsubscribe => () => {};

/**
 * The way between a node and its broker, and between the broker and its workers. Nothing passes by itself: the recorder reads
 * only what it is let have, and what the node sends is lost while the way is cut.
 */
export class Wire implements Broker {
  readonly kind: "embedded" | "redis";
  /** The node's side. */
  hub: Broker;
  /** The workers' side: the same object, or one elsewhere that outlives the node. */
  floor: Broker;
  cut = false;
  /** Something has come between that the node has not been told of. */
  news = false;
  /** The pages that the recorder has been handed. */
  #handed: (readonly BrokerEvent[])[] = [];
  #allowed = 0;
  readonly #onReady = new Signal<[]>();
  readonly #underWay = new Set<Promise<unknown>>();

  constructor(hub: Broker, floor: Broker = hub) {
    this.kind = hub.kind;
    this.hub = hub;
    this.floor = floor;
  }

  /** Lets so many events pass while `work` runs. @returns the pages that did */
  async let(events: number, work: () => Promise<unknown>): Promise<readonly (readonly BrokerEvent[])[]> {
    this.#allowed = events;
    await work();
    this.#allowed = 0;
    return this.#handed.splice(0);
  }

  /** Tells the node that the broker is back, or has forgotten what it held. */
  tell(): void {
    if (this.news && !this.cut) this.#onReady.emit();
    this.news &&= this.cut;
  }

  /** Whatever the node has sent has arrived. */
  async quiet(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }

  enqueue(jobs: readonly Job[]): Promise<void> {
    return this.#send(() => this.hub.enqueue(jobs));
  }

  restrain(restraints: Restraints): Promise<void> {
    return this.#send(() => this.hub.restrain(restraints));
  }

  cancel(ids: readonly string[]): Promise<void> {
    return this.#send(() => this.hub.cancel(ids));
  }

  acknowledge(offset: Offset): Promise<void> {
    return this.#send(() => this.hub.acknowledge(offset));
  }

  async events(from: Offset | null, limit: number, toTheEnd?: boolean): Promise<EventPage> {
    if (this.#allowed === 0) return { events: [], offset: from ?? { epoch: "", id: "" }, more: false };
    const page = await this.hub.events(from, Math.min(limit, this.#allowed), toTheEnd);
    this.#allowed -= page.events.length;
    if (page.events.length > 0) this.#handed.push(page.events);
    return page;
  }

  async missing(refs: readonly JobRef[]): Promise<readonly JobRef[]> {
    if (this.cut) throw new Unavailable("redis_unavailable", "the way is cut");
    return await this.hub.missing(refs);
  }

  async reap(): Promise<number> {
    return this.cut ? 0 : await this.hub.reap();
  }

  onReady(listener: () => void): Unsubscribe {
    return this.#onReady.on(listener);
  }

  trouble(): string | undefined {
    return this.cut ? "the way is cut" : this.hub.trouble();
  }

  readonly onEvents = NO_CALLS;
  readonly onProgress = NO_CALLS;
  readonly onWork = NO_CALLS;
  readonly onCancel = NO_CALLS;

  claim(request: ClaimRequest): Promise<readonly Job[]> {
    return this.floor.claim(request);
  }

  settle(worker: string, outcomes: readonly Outcome[]): Promise<readonly SettleResult[]> {
    return this.floor.settle(worker, outcomes);
  }

  heartbeat(worker: string, held: readonly JobRef[]): Promise<HeartbeatAnswer> {
    return this.floor.heartbeat(worker, held);
  }

  leave(worker: string): Promise<void> {
    return this.floor.leave(worker);
  }

  limitUse(names: readonly string[], owner?: string): Promise<readonly LimitUse[]> {
    return this.hub.limitUse(names, owner);
  }

  workers(): Promise<readonly WorkerView[]> {
    return this.hub.workers();
  }

  async log(): Promise<void> {}

  report(): void {}

  /** The node's side ends; the workers' may go on. */
  async stop(): Promise<void> {
    await this.hub.stop();
  }

  async #send(call: () => Promise<void>): Promise<void> {
    if (this.cut) return;
    const sent = call();
    this.#underWay.add(sent);
    await sent.finally(() => this.#underWay.delete(sent));
  }
}
