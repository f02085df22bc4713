import fc from "fast-check";
import type { Priority } from "../../src/domain/task.ts";
import { LEASE_MS } from "../../src/ports/broker.ts";

/** One thing that happens. `pick` chooses among what there is, `owner` and `worker` among those of the world. */
export type Step =
  | {
      readonly do: "submit";
      readonly owner: number;
      readonly name: string;
      readonly input: Input;
      readonly delayMs: number;
      readonly priority: Priority;
      readonly key: string | null;
    }
  | { readonly do: "batch"; readonly owner: number; readonly name: string; readonly count: number; readonly input: Input }
  | { readonly do: "claim"; readonly worker: number; readonly max: number; readonly alone: boolean }
  | { readonly do: "settle"; readonly pick: number; readonly how: How }
  | { readonly do: "heartbeat"; readonly worker: number }
  /** The worker is never heard of again; another one comes in its place. */
  | { readonly do: "die"; readonly worker: number }
  | { readonly do: "advance"; readonly ms: number }
  | { readonly do: "tick" }
  | { readonly do: "cancel"; readonly pick: number; readonly by: By }
  | { readonly do: "retry"; readonly pick: number; readonly by: By }
  /** The recorder reads so many events; `fails`: what cannot be stored of them. */
  | { readonly do: "record"; readonly events: number; readonly fails: "rows" | "offset" | null }
  /** What has been recorded so far, from some place on, is recorded once more. */
  | { readonly do: "replay"; readonly from: number }
  | { readonly do: "reconcile" }
  /** What the node sends to the broker is lost, until `heal`. */
  | { readonly do: "cut" }
  | { readonly do: "heal" }
  /** The broker forgets everything; `keeps`: only which life it is in. */
  | { readonly do: "wipe"; readonly keeps: boolean }
  /** The node dies and begins again on its file; what threads left word of is all that they held, nothing, or there is no word. */
  | { readonly do: "crash"; readonly ran: "held" | "nothing" | "unknown" }
  | { readonly do: "purge" };

export type StepOf<What extends Step["do"]> = Extract<Step, { do: What }>;
export type How = "done" | "fail" | "retry" | "cancelled" | "released" | "suspected";
export type By = "owner" | "admin" | "stranger";
export type Input = "small" | "other" | "large";

const just = <const T extends string>(what: T) => fc.constant(what);
const pick = fc.nat(20);
const owner = fc.nat(2);
const worker = fc.nat(2);
const by = fc.constantFrom<By[]>("owner", "owner", "owner", "admin", "stranger");
const name = fc.constantFrom("job", "job", "other");
const input = fc.constantFrom<Input[]>("small", "small", "other", "large");

const kinds: { weight: number; arbitrary: fc.Arbitrary<Step> }[] = [
  {
    weight: 10,
    arbitrary: fc.record({
      do: just("submit"),
      owner,
      name,
      input,
      delayMs: fc.constantFrom(0, 0, 0, 5_000),
      priority: fc.constantFrom<Priority[]>("normal", "normal", "high", "low"),
      key: fc.constantFrom(null, null, "a"),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: just("batch"), owner, name, count: fc.integer({ min: 2, max: 5 }), input }) },
  {
    weight: 10,
    arbitrary: fc.record({
      do: just("claim"),
      worker,
      max: fc.integer({ min: 1, max: 3 }),
      alone: fc.constantFrom(false, false, true),
    }),
  },
  {
    weight: 10,
    arbitrary: fc.record({
      do: just("settle"),
      pick,
      how: fc.constantFrom<How[]>("done", "done", "retry", "fail", "cancelled", "released", "suspected"),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: just("heartbeat"), worker }) },
  { weight: 1, arbitrary: fc.record({ do: just("die"), worker }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: just("advance"), ms: fc.constantFrom(1, 2_000, LEASE_MS / 2, LEASE_MS + 1) }),
  },
  { weight: 3, arbitrary: fc.record({ do: just("tick") }) },
  { weight: 6, arbitrary: fc.record({ do: just("cancel"), pick, by }) },
  { weight: 4, arbitrary: fc.record({ do: just("retry"), pick, by }) },
  {
    weight: 10,
    arbitrary: fc.record({
      do: just("record"),
      events: fc.constantFrom(1, 2, 1_000),
      fails: fc.constantFrom(null, null, null, null, "rows", "offset"),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: just("replay"), from: pick }) },
  { weight: 3, arbitrary: fc.record({ do: just("reconcile") }) },
  { weight: 2, arbitrary: fc.record({ do: just("cut") }) },
  { weight: 2, arbitrary: fc.record({ do: just("heal") }) },
  { weight: 1, arbitrary: fc.record({ do: just("wipe"), keeps: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: just("crash"), ran: fc.constantFrom("held", "nothing", "unknown") }) },
  { weight: 1, arbitrary: fc.record({ do: just("purge") }) },
];

export const histories: fc.Arbitrary<Step[]> = fc.array(fc.oneof(...kinds), { minLength: 20, maxLength: 80, size: "max" });
