import type { Fault, Kind, Step } from "./plan.ts";
import type { World } from "./world.ts";

type Deed = (world: World, fault: Fault) => Promise<unknown>;

const kill: Deed = (world, { target, lastsMs }) => world.keeper(target).again("SIGKILL", lastsMs);
const killTwice: Deed = (world, { target, lastsMs }) => world.keeper(target).killTwice(lastsMs);
const drain: Deed = (world, { target, lastsMs }) => world.keeper(target).again("SIGTERM", lastsMs);
const freeze: Deed = (world, { target, lastsMs }) => world.keeper(target).freeze(lastsMs);

const DEEDS: Readonly<Record<Kind, Deed>> = {
  "kill serve": kill,
  "kill serve twice": killTwice,
  "kill work": kill,
  "kill work twice": killTwice,
  "kill redis": (world, { lastsMs }) => world.restartRedis(lastsMs, false),
  "kill and wipe redis": (world, { lastsMs }) => world.restartRedis(lastsMs, true),
  "flush redis": async ({ redis }) => redis?.command("FLUSHALL"),
  "pause redis": async ({ redis }, { lastsMs }) => {
    redis?.pause();
    await Bun.sleep(lastsMs);
    redis?.resume();
  },
  "cut connections": async ({ redis }) => redis?.command("CLIENT", "KILL", "TYPE", "normal"),
  "cut subscriptions": async ({ redis }) => redis?.command("CLIENT", "KILL", "TYPE", "pubsub"),
  "freeze serve": freeze,
  "freeze work": freeze,
  "freeze serve for long": freeze,
  "freeze work for long": freeze,
  "drain serve": drain,
  "drain work": drain,
};

/** Does all of a step at the same time; returns once everybody is up again. */
export async function afflict(world: World, { faults }: Step): Promise<void> {
  await Promise.all(faults.map((fault) => DEEDS[fault.kind](world, fault)));
  await world.up();
}
