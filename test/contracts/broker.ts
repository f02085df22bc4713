/**
 * What every broker promises. A driver passes all of it, without skips:
 *
 *   brokerContract("embedded", async () => ({ broker, clock, maxUnrecorded, stop }));
 */
import { describe } from "bun:test";
import { Bench, type BrokerFactory } from "./bench.ts";
import { claimContract } from "./broker-claims.ts";
import { eventContract } from "./broker-events.ts";
import { leaseContract } from "./broker-leases.ts";
import { limitContract } from "./broker-limits.ts";
import { limitModelContract } from "./broker-limits-model.ts";
import { modelContract } from "./broker-model.ts";

export type { BrokerFactory, BrokerUnderTest } from "./bench.ts";

export function brokerContract(name: string, factory: BrokerFactory): void {
  const open = async (): Promise<Bench> => new Bench(await factory());
  describe(`${name} broker`, () => {
    claimContract(open);
    leaseContract(open);
    eventContract(open);
    limitContract(open);
    limitModelContract(open);
    modelContract(open);
  });
}
