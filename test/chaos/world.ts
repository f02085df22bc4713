import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Place } from "../support/artel-process.ts";
import { TASKS } from "../support/e2e-tasks.ts";
import { RedisServer } from "../support/redis-server.ts";
import { Keeper } from "./keeper.ts";
import type { BrokerKind, Plan, Target } from "./plan.ts";

/** Few slots: the suspects of a death, each in a process of its own, are not to take all of the time. */
const TASK_FLAGS = ["--tasks", "tasks", "--no-watch", "--slots", "3"];
const REDIS_OPTIONS = {
  all: { persist: true },
  /** A second after any change. */
  snapshots: { args: ["--save", "1 1"] },
} as const;

/** All processes of a run: a server and, where a Redis carries, that and two workers. */
export class World implements AsyncDisposable {
  readonly place: Place;
  readonly redis: RedisServer | undefined;
  readonly serve: Keeper;
  readonly workers: readonly Keeper[];

  private constructor(place: Place, redis: RedisServer | undefined) {
    this.place = place;
    this.redis = redis;
    const carried = redis ? ["--redis", redis.url] : [];
    const threads = redis ? "1" : "2";
    this.serve = new Keeper(place, ["serve", "--port", "0", "--threads", threads, ...TASK_FLAGS, ...carried]);
    const work = ["work", "--port", "0", "--threads", "1", ...TASK_FLAGS, ...carried];
    this.workers = redis ? [new Keeper(place, work), new Keeper(place, work)] : [];
  }

  static async make(broker: BrokerKind, plan: Pick<Plan, "redisKeeps">): Promise<World> {
    await using starting = new AsyncDisposableStack();
    const place = starting.use(await Place.make());
    const redis = broker === "redis" ? starting.use(await RedisServer.start(REDIS_OPTIONS[plan.redisKeeps])) : undefined;
    place.write(TASKS);
    const world = starting.use(new World(place, redis));
    await world.up();
    starting.move();
    return world;
  }

  get keepers(): readonly Keeper[] {
    return [this.serve, ...this.workers];
  }

  keeper(target: Target): Keeper {
    const index = { serve: 0, "work-0": 1, "work-1": 2, redis: -1 }[target];
    return this.keepers[index] as Keeper;
  }

  /** Waits until everything runs. */
  async up(): Promise<void> {
    if (this.redis?.running === false) await this.redis.restart();
    await Promise.all(this.keepers.map(({ up }) => up));
  }

  /** Begins Redis again after `awayMs`; without its data, if so wished. */
  async restartRedis(awayMs: number, wiped: boolean): Promise<void> {
    const { redis } = this;
    if (!redis) return;
    await redis.kill();
    await Bun.sleep(awayMs);
    if (wiped)
      for (const name of ["appendonlydir", "dump.rdb"]) rmSync(join(redis.directory, name), { recursive: true, force: true });
    await redis.restart();
  }

  /** Copies what is left of it to where it stays: the data directory, what processes printed, Redis's files. @returns where */
  keep(): string {
    const kept = mkdtempSync(join(tmpdir(), "artel-chaos-"));
    const { place, redis } = this;
    cpSync(place.folder, join(kept, "place"), { recursive: true, filter: (path) => path !== place.program });
    if (redis) cpSync(redis.directory, join(kept, "redis"), { recursive: true });
    mkdirSync(join(kept, "log"));
    for (const [n, { lives }] of this.keepers.entries()) {
      for (const [life, { pid, stdout, stderr }] of lives.entries())
        writeFileSync(join(kept, "log", `${n === 0 ? "serve" : `work-${n}`}-${life}-${pid}.log`), stdout + stderr);
    }
    return kept;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Before their keepers could start others.
    for (const keeper of this.keepers) keeper.release();
    await this.place[Symbol.asyncDispose]();
    await this.redis?.stop();
  }
}
