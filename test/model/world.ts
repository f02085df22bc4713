import { expect } from "bun:test";
import { type BrokerEvent, type JobRef, LEASE_MS, type Offset } from "../../src/ports/broker.ts";
import type { TaskStore } from "../../src/ports/tasks.ts";
import { DefinitionRegistry } from "../../src/services/definitions.ts";
import { Recorder } from "../../src/services/recorder.ts";
import { Retention } from "../../src/services/retention.ts";
import { type Core, type CoreOptions, openCore, policy } from "../support/core.ts";
import { CountingRandom, ManualClock } from "../support/manual-runtime.ts";
import { Floor } from "./floor.ts";
import type { Ground, GroundOf } from "./ground.ts";
import { Leases } from "./leases.ts";
import { type Known, Model } from "./model.ts";
import { ATTEMPTS, type Scene } from "./scene.ts";
import type { Step, StepOf } from "./steps.ts";
import { Users } from "./users.ts";
import type { Wire } from "./wire.ts";
import { Witness } from "./witness.ts";

const QUOTAS = { total: 14, perOwner: 8 };
/** So small that it is often full: by lanes, in all, and by the bytes of inputs. */
const WINDOW = { lane: 2, total: 5, bytes: 3_000 };
const RETENTION_MS = 20_000;
const ALL = 1_000;
/** More rounds than anything can take to its end. */
const ROUNDS = 40;

/** One for all worlds: schemas are compiled once. */
const definitions = new DefinitionRegistry(
  Object.entries(ATTEMPTS).map(([name, maxAttempts]) =>
    policy(name, { queue: `${name}s`, retry: { maxAttempts, backoffMs: 1, maxBackoffMs: 1 } }),
  ),
);

/** The real node, its broker and its workers, beside the model of them all. Every step is done to both. */
export class World implements AsyncDisposable {
  readonly #scene: Scene;
  readonly #random: CountingRandom;
  readonly #ground: Ground;
  readonly #users: Users;
  readonly #floor: Floor;
  readonly #witness: Witness;
  /** Of all nodes that were. */
  readonly #cores: Core[] = [];
  /** What the recorder has stored, in order. */
  readonly #stored: BrokerEvent[] = [];

  private constructor(scene: Omit<Scene, "core">, ground: Ground, random: CountingRandom) {
    // A node comes before anything else.
    this.#scene = scene as Scene;
    this.#ground = ground;
    this.#random = random;
    this.#users = new Users(this.#scene);
    this.#floor = new Floor(this.#scene);
    this.#witness = new Witness(this.#scene);
  }

  static async open(groundOf: GroundOf): Promise<World> {
    const [clock, random] = [new ManualClock(), new CountingRandom()];
    const ground = groundOf(clock, random);
    const wire = await ground.open();
    const world = new World({ clock, wire, model: new Model(QUOTAS), leases: new Leases(), rough: false }, ground, random);
    await world.#begin({});
    return world;
  }

  async take(step: Step): Promise<void> {
    await this.#do(step);
    await this.#quiet();
    this.#witness.expectAgreement();
  }

  /** Everything is there again, and runs to its end: then every task has ended, and whatever was taken has had its effect once. */
  async finish(): Promise<void> {
    const { model, leases } = this.#scene;
    await this.take({ do: "heal" });
    for (let round = 0; model.open().length > 0 && round < ROUNDS; round += 1) {
      await this.take({ do: "reconcile" });
      for (const alone of [false, true]) await this.take({ do: "claim", worker: 0, max: ALL, alone });
      for (const _ of this.#floor.held) await this.take({ do: "settle", pick: 0, how: "done" });
      await this.take({ do: "record", events: ALL, fails: null });
      await this.take({ do: "advance", ms: LEASE_MS + 1 });
      await this.take({ do: "tick" });
    }
    expect(model.open()).toEqual([]);
    await this.take({ do: "record", events: ALL, fails: null });
    leases.expectAllStored();
    this.#users.expectPrivate();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#scene.wire.cut = true;
    for (const core of this.#cores.reverse()) await core[Symbol.asyncDispose]();
    await this.#ground.close(this.#scene.wire);
  }

  async #do(step: Step): Promise<void> {
    const { wire } = this.#scene;
    switch (step.do) {
      case "submit":
        return this.#users.submit(step);
      case "batch":
        return this.#users.batch(step);
      case "cancel":
        return this.#users.cancel(step);
      case "retry":
        return this.#users.retry(step);
      case "claim":
        return this.#floor.claim(step);
      case "settle":
        return this.#floor.settle(step);
      case "heartbeat":
        return this.#floor.heartbeat(step);
      case "die":
        return this.#floor.die(step);
      case "advance":
        return this.#advance(step);
      case "tick":
        return this.#tick();
      case "record":
        return this.#record(step);
      case "replay":
        return this.#replay(step);
      case "reconcile":
        return this.#reconcile();
      case "cut":
        this.#scene.rough = true;
        wire.cut = true;
        return;
      case "heal":
        wire.news ||= wire.cut;
        wire.cut = false;
        return;
      case "wipe":
        return this.#wipe(step);
      case "crash":
        return this.#crash(step);
      case "purge":
        return this.#purge();
    }
  }

  #advance({ ms }: StepOf<"advance">): void {
    const { clock, leases } = this.#scene;
    clock.advance(ms);
    leases.look(clock.now());
  }

  async #tick(): Promise<void> {
    const { core, model, clock } = this.#scene;
    expect(await core.scheduler.tick()).toBe(model.tick(clock.now()));
  }

  async #record({ events, fails }: StepOf<"record">): Promise<void> {
    const { core, wire } = this.#scene;
    const disk = new Disk(core.store, fails);
    const pages = await wire.let(events, () => core.recorder.drained());
    // The recorder stops at the page that it cannot store.
    this.#store(disk.mend() ? pages.slice(0, -1) : pages);
  }

  #store(pages: readonly (readonly BrokerEvent[])[]): void {
    for (const event of pages.flat()) {
      this.#scene.leases.stored(event);
      this.#scene.model.record(event);
      this.#stored.push(event);
    }
  }

  /** A second recorder over the same rows, with a stream of its own: what the first one has stored, from some place on. */
  async #replay({ from }: StepOf<"replay">): Promise<void> {
    const { core, wire } = this.#scene;
    const events = this.#stored.slice(from % Math.max(1, this.#stored.length));
    const offset = { epoch: this.#random.uuid(), id: "end" };
    const hub = Object.assign(Object.create(wire) as Wire, {
      kind: "replay",
      events: async (at: Offset | null) => ({ events: at?.epoch === offset.epoch ? [] : events, offset, more: false }),
      acknowledge: async () => {},
      cancel: async () => {},
    });
    const recorder = new Recorder({ ...core, notifier: core.notices, hub, onPutOff: () => {} });
    recorder.start();
    await recorder.drained();
    await recorder.stop();
  }

  async #reconcile(): Promise<void> {
    const { core, wire, model, leases, clock } = this.#scene;
    const pages = await wire.let(ALL, () => {
      wire.tell();
      return core.reconciler.reconcile();
    });
    this.#store(pages);
    if (wire.cut) return;
    leases.fed();
    for (const task of model.open()) {
      if (task.status !== "in progress" || core.store.get(task.id)?.status === "in progress") continue;
      leases.expectSilent(task);
      model.lose(task, clock.now());
    }
  }

  async #wipe({ keeps }: StepOf<"wipe">): Promise<void> {
    const { wire, leases } = this.#scene;
    this.#scene.rough = true;
    leases.forget();
    wire.news = true;
    await this.#ground.wipe(wire, keeps);
  }

  /** What is committed is all that the next node has; what the last one sent has arrived, unless the way was cut. */
  async #crash({ ran }: StepOf<"crash">): Promise<void> {
    const { core, wire, model, leases } = this.#scene;
    this.#scene.rough = true;
    const file = core.snapshot();
    const held = new Set(model.tasks.filter((task) => this.#floor.holds(task)).map(keyOf));
    const word = { held: (ref: JobRef) => held.has(keyOf(ref)), nothing: () => false, unknown: undefined }[ran];
    wire.cut = true;
    this.#scene.wire = await this.#ground.reopen(wire);
    if (wire.kind === "embedded") {
      leases.forget();
      this.#floor.dieWithNode();
      for (const task of model.open()) this.#mourn(task, word);
    }
    await this.#begin({ file, ...(word && { wasRunning: word }) });
    leases.fed();
  }

  /** A task whose worker was part of the node that died. */
  #mourn(task: Known, ran: ((ref: JobRef) => boolean) | undefined): void {
    const { model, clock } = this.#scene;
    const running = task.status === "in progress";
    if (task.waiting || !(running || task.status === "queued")) return;
    if (ran ? ran(task) : running) model.orphan(task, clock.now());
    else if (running) model.lose(task, clock.now());
  }

  async #begin(options: CoreOptions): Promise<void> {
    const { wire, clock } = this.#scene;
    const pages = await wire.let(ALL, async () => {
      const more = { definitions, window: WINDOW, quotas: QUOTAS, hub: wire, clock, random: this.#random };
      this.#scene.core = await openCore({ ...options, ...more });
      await this.#scene.core.reconciler.reconcile();
    });
    this.#cores.push(this.#scene.core);
    this.#witness.turn();
    this.#store(pages);
  }

  async #purge(): Promise<void> {
    const { core, model, clock } = this.#scene;
    const retention = new Retention({ ...core, clock, retentionMs: RETENTION_MS, purgeSessions: () => 0 });
    expect(await retention.sweep()).toBe(model.purge(clock.now() - RETENTION_MS));
  }

  /** Nothing is under way: neither to the rows, nor to the broker. */
  async #quiet(): Promise<void> {
    const { core, wire } = this.#scene;
    const changes = core.db.query<{ count: number }, []>("SELECT total_changes() AS count");
    for (let before = -1, now = 0; now !== before; ) {
      before = now;
      await core.work.grouped(() => {});
      await wire.quiet();
      now = changes.get()?.count ?? 0;
    }
  }
}

const keyOf = ({ id, fence }: JobRef): string => `${id} ${fence}`;

/** The disk under a store, which is full when rows change, or not before the offset is stored. */
class Disk {
  readonly #store: TaskStore;
  readonly #whole: Pick<TaskStore, "update" | "complete" | "saveOffset">;
  #refused = false;

  constructor(store: TaskStore, fails: StepOf<"record">["fails"]) {
    this.#store = store;
    const { update, complete, saveOffset } = store;
    this.#whole = { update, complete, saveOffset };
    const refuse = (): never => {
      this.#refused = true;
      throw new Error("no disk");
    };
    if (fails === "rows") Object.assign(store, { update: refuse, complete: refuse });
    if (fails === "offset") Object.assign(store, { saveOffset: refuse });
  }

  /** @returns whether it has refused anything */
  mend(): boolean {
    Object.assign(this.#store, this.#whole);
    return this.#refused;
  }
}
