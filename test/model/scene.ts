import type { Caller } from "../../src/services/tasks.ts";
import { ADMIN, ANNA, BEN, type Core } from "../support/core.ts";
import type { ManualClock } from "../support/manual-runtime.ts";
import type { Leases } from "./leases.ts";
import type { Model } from "./model.ts";
import type { Wire } from "./wire.ts";

/** Attempts of each task that can be submitted. */
export const ATTEMPTS: Readonly<Record<string, number>> = { job: 3, other: 1 };
const CALLERS = [ANNA, BEN, ADMIN];

/** The owners of tasks, and who else may ask for them. */
export const callerAt = (index: number): Caller => CALLERS[index % CALLERS.length] as Caller;

/** What a world consists of: the real things, the model, and what is known of leases. */
export interface Scene {
  readonly clock: ManualClock;
  readonly model: Model;
  readonly leases: Leases;
  /** The living node's. */
  core: Core;
  wire: Wire;
  /** Something has gone wrong already. Until then, only what is to run is handed out. */
  rough: boolean;
}
