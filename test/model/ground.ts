import { EmbeddedBroker } from "../../src/drivers/embedded/broker.ts";
import { RedisBroker } from "../../src/drivers/redis/broker.ts";
import { Keys } from "../../src/drivers/redis/keys.ts";
import { connector } from "../../src/drivers/redis/url.ts";
import type { Broker } from "../../src/ports/broker.ts";
import type { Clock, Random } from "../../src/ports/runtime.ts";
import { recordingLog } from "../support/manual-runtime.ts";
import type { RedisServer } from "../support/redis-server.ts";
import { Wire } from "./wire.ts";

/** What a world's broker runs on. */
export interface Ground {
  /** A broker that knows nothing. */
  open(): Promise<Wire>;
  /** The node has died, and begins again. */
  reopen(wire: Wire): Promise<Wire>;
  /** The broker forgets everything, or (`keeps`) begins another life with what it has. */
  wipe(wire: Wire, keeps: boolean): Promise<void>;
  close(wire: Wire): Promise<void>;
}

/** @param clock leases are measured by it */
export type GroundOf = (clock: Clock, random: Random) => Ground;

export const embedded: GroundOf = (clock, random) => {
  const broker = (): Broker => new EmbeddedBroker({ clock, epoch: random.uuid() });
  return {
    open: async () => new Wire(broker()),
    // Its workers die with it.
    reopen: async () => new Wire(broker()),
    async wipe(wire, keeps) {
      // It has but one life.
      if (keeps) return;
      await wire.hub.stop();
      wire.hub = broker();
      wire.floor = wire.hub;
    },
    close: (wire) => wire.floor.stop(),
  };
};

let namespaces = 0;

/** The server is this ground's alone. */
export const onServer = (server: RedisServer): GroundOf => {
  return (clock, random) => {
    namespaces += 1;
    const keys = new Keys(`model-${namespaces}`);
    const broker = async (): Promise<Broker> => {
      const { log } = recordingLog();
      const elapsed = (): number => clock.now();
      const opened = new RedisBroker({ connector: connector(server.url), keys, clock, serverTime: clock, elapsed, random, log });
      await opened.link.verdict(5_000);
      return opened;
    };
    return {
      open: async () => new Wire(await broker(), await broker()),
      reopen: async ({ floor }) => new Wire(await broker(), floor),
      async wipe({ floor }, keeps) {
        if (!keeps) return void (await server.command("FLUSHALL"));
        await server.command("HSET", keys.meta, "run_id", "another");
        // The new life begins with the first who asks.
        await floor.heartbeat("asks", []);
      },
      close: (wire) => wire.floor.stop(),
    };
  };
};
