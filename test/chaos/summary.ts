import type { BrokerKind, Plan, Step } from "./plan.ts";
import type { User } from "./user.ts";
import { runsOf } from "./verdict.ts";
import type { World } from "./world.ts";

/** What happened in a run, in figures. */
export interface Summary extends Counts {
  readonly broker: BrokerKind;
  readonly seed: number;
  readonly redisKeeps: Plan["redisKeeps"];
  readonly violations: readonly string[];
  /** Where the remains lie, if anything was wrong. */
  readonly kept: string | undefined;
  readonly faultsMs: number;
  readonly settlingMs: number;
}

interface Counts {
  readonly faults: ReadonlyMap<string, number>;
  readonly kills: number;
  readonly statuses: ReadonlyMap<string, number>;
  readonly accepted: number;
  readonly ended: number;
  /** Submissions whose answer was lost. */
  readonly unknown: number;
  /** Accepted tasks whose end was never told. */
  readonly lost: number;
  /** Tasks that ended more often than their owner asked for. */
  readonly duplicates: number;
  readonly requests: number;
  readonly unanswered: number;
  readonly reconnects: number;
  /** Effects that tasks left, and how many of those the same task had left before. */
  readonly runs: number;
  readonly runsAgain: number;
}

export function summed(world: World, users: readonly User[], steps: readonly Step[]): Counts {
  const faults = steps.flatMap((step) => step.faults);
  const tasks = users.flatMap(({ view }) => [...view.tasks.values()]);
  const runs = [...runsOf(world).values()];
  const runsInAll = total(runs, (count) => count);
  return {
    faults: countsOf(faults, ({ kind }) => kind),
    kills: total(faults, ({ kills }) => kills),
    statuses: countsOf(tasks, ({ status }) => status),
    accepted: total(users, ({ accepted }) => accepted.size),
    ended: total(users, ({ view }) => view.ends.size),
    unknown: total(users, ({ unknown }) => unknown.length),
    lost: total(users, ({ accepted, view }) => total([...accepted.keys()], (id) => (view.hasEnded(id) ? 0 : 1))),
    duplicates: total(users, (user) => total([...user.view.ends], ([id, ends]) => (ends > user.lives(id).atMost ? 1 : 0))),
    requests: total(users, ({ requests }) => requests),
    unanswered: total(users, ({ unanswered }) => unanswered),
    reconnects: total(users, ({ view }) => view.reconnects),
    runs: runsInAll,
    runsAgain: runsInAll - runs.length,
  };
}

/** For people to read. */
export function described(summary: Summary): string {
  const { broker, seed, faults, statuses, violations, kept } = summary;
  const all = (counts: ReadonlyMap<string, number>): string => [...counts].map(([what, count]) => `${count} ${what}`).join(", ");
  const seconds = (ms: number): number => Math.round(ms / 1_000);
  const which = broker === "redis" ? `redis, which keeps ${summary.redisKeeps}` : broker;
  return [
    `${which}, seed ${seed}: ${summary.kills} kills in ${seconds(summary.faultsMs)} s, all settled ${seconds(summary.settlingMs)} s later`,
    `  faults    ${all(faults)}`,
    `  tasks     ${summary.accepted} accepted, ${summary.unknown} unknown: ${all(statuses)}`,
    `  runs      ${summary.runs}, of which ${summary.runsAgain} again`,
    `  requests  ${summary.requests}, of which ${summary.unanswered} unanswered; sockets connected again ${summary.reconnects} times`,
    `  lost ${summary.lost}, duplicates ${summary.duplicates}, violations ${violations.length}${kept === undefined ? "" : `; remains in ${kept}`}`,
  ].join("\n");
}

const total = <T>(items: readonly T[], of: (item: T) => number): number => items.reduce((sum, item) => sum + of(item), 0);

function countsOf<T>(items: readonly T[], key: (item: T) => string): Map<string, number> {
  return new Map([...Map.groupBy(items, key)].map(([name, group]) => [name, group.length]));
}
