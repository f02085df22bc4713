/** What happens to the processes of a run, drawn beforehand: the same seed draws the same plan. */
import { seeded } from "../support/waiting.ts";
import { anyOf, chosen } from "./chance.ts";

export const BROKERS = ["embedded", "redis"] as const;
export type BrokerKind = (typeof BROKERS)[number];

/** Who a fault happens to; two that happen at the same time have different ones. */
export type Target = "serve" | "work-0" | "work-1" | "redis";

interface FaultKind {
  readonly targets: readonly Target[];
  /** How often it is drawn, among the others. */
  readonly weight: number;
  /** How many times something is killed with it. */
  readonly kills?: number;
  /** How long it takes, in milliseconds: from, to. */
  readonly lasts: readonly [number, number];
}

const WORKERS = ["work-0", "work-1"] as const;
/** Killed, a process stays away so long; most often its supervisor starts it again at once. */
const AWAY = [-1_500, 1_000] as const;
const EARLY = [5, 400] as const;
const FREEZE = [200, 2_500] as const;
/** Longer than a lease. */
const LONG_FREEZE = [15_500, 18_000] as const;
const AT_ONCE = [0, 0] as const;

const KINDS = {
  "kill serve": { targets: ["serve"], weight: 8, kills: 1, lasts: AWAY },
  /** And once more while it starts. */
  "kill serve twice": { targets: ["serve"], weight: 2, kills: 2, lasts: EARLY },
  "kill work": { targets: WORKERS, weight: 6, kills: 1, lasts: AWAY },
  "kill work twice": { targets: WORKERS, weight: 1, kills: 2, lasts: EARLY },
  "kill redis": { targets: ["redis"], weight: 5, kills: 1, lasts: AWAY },
  "kill and wipe redis": { targets: ["redis"], weight: 3, kills: 1, lasts: AWAY },
  "flush redis": { targets: ["redis"], weight: 3, lasts: AT_ONCE },
  "pause redis": { targets: ["redis"], weight: 2, lasts: [500, 2_000] },
  "cut connections": { targets: ["redis"], weight: 2, lasts: AT_ONCE },
  "cut subscriptions": { targets: ["redis"], weight: 1, lasts: AT_ONCE },
  "freeze serve": { targets: ["serve"], weight: 1.5, lasts: FREEZE },
  "freeze work": { targets: WORKERS, weight: 1.5, lasts: FREEZE },
  "freeze serve for long": { targets: ["serve"], weight: 0.15, lasts: LONG_FREEZE },
  "freeze work for long": { targets: WORKERS, weight: 0.25, lasts: LONG_FREEZE },
  "drain serve": { targets: ["serve"], weight: 2, lasts: AWAY },
  "drain work": { targets: WORKERS, weight: 2, lasts: AWAY },
} satisfies Record<string, FaultKind>;

export type Kind = keyof typeof KINDS;

export interface Fault {
  readonly kind: Kind;
  readonly target: Target;
  readonly lastsMs: number;
  readonly kills: number;
}

/** Faults that happen at the same time, once so many transitions have been heard of since the last ones. */
export interface Step {
  readonly faults: readonly Fault[];
  readonly transitions: number;
}

export interface Plan {
  readonly steps: readonly Step[];
  /** What Redis finds when it comes back: all that it had, or what it had a second or so ago. */
  readonly redisKeeps: "all" | "snapshots";
}

const TOGETHER = 0.25;
const TRANSITIONS = [1, 120] as const;

/** @param options.brief without faults that take longer than a lease */
export function draw(options: { seed: number; broker: BrokerKind; kills: number; brief: boolean }): Plan {
  const random = seeded(options.seed + BROKERS.indexOf(options.broker));
  const within = ([from, to]: readonly [number, number]): number => Math.round(from + random() * (to - from));
  const kinds = Object.entries(KINDS as Record<Kind, FaultKind>).filter(
    ([, { targets, lasts }]) =>
      (options.broker === "redis" || targets.some((target) => target === "serve")) && !(options.brief && lasts === LONG_FREEZE),
  ) as [Kind, FaultKind][];

  const one = (): Fault => {
    const [kind, { targets, lasts, kills = 0 }] = chosen(kinds, ([, { weight }]) => weight, random);
    const target = anyOf(targets, random) as Target;
    return { kind, target, kills, lastsMs: Math.max(0, within(lasts)) };
  };
  const redisKeeps = random() < 0.5 ? "all" : "snapshots";
  const steps: Step[] = [];
  for (let kills = 0; kills < options.kills; ) {
    const [first, second] = [one(), one()];
    const faults = random() < TOGETHER && first.target !== second.target ? [first, second] : [first];
    steps.push({ faults, transitions: within(TRANSITIONS) });
    for (const fault of faults) kills += fault.kills;
  }
  return { steps, redisKeeps };
}
