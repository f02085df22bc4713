import { seeded } from "../support/waiting.ts";
import { afflict } from "./faults.ts";
import { type BrokerKind, draw, type Plan, type Step } from "./plan.ts";
import { type Summary, summed } from "./summary.ts";
import { User } from "./user.ts";
import { judged, judgedRemains, judgedSockets, settled } from "./verdict.ts";
import { World } from "./world.ts";

const NAMES = ["ada", "bob", "eve"];
/** Where nothing moves, because all wait for a lease, the next fault comes after so long, in milliseconds. */
const STILL_MS = 5_000;
const LOOK_MS = 5;

export interface Settings {
  readonly broker: BrokerKind;
  readonly seed: number;
  /** How many times something is killed with SIGKILL. */
  readonly kills: number;
  /** No faults after so long, in milliseconds. */
  readonly limitMs?: number;
  /** Leaves out what takes longer than a lease. */
  readonly brief?: boolean;
  /** How long after everything has ended it is looked at once more, in milliseconds. */
  readonly againMs: number;
  readonly say: (line: string) => void;
}

/** One run: faults by plan under load; then everything must have ended as it should, and must still be so a while later. */
export async function chaos(settings: Settings): Promise<Summary> {
  const { broker, seed, kills, brief = false, againMs } = settings;
  const plan = draw({ seed, broker, kills, brief });
  await using world = await World.make(broker, plan);
  const users = await usersOf(world, seed);
  const done: Step[] = [];
  const violations: string[] = [];
  const began = performance.now();
  let [quietAt, settledAt] = [began, began];
  try {
    await afflictAll(settings, plan, world, users, done);
    quietAt = performance.now();
    await Promise.all(users.map((user) => user.quiet()));
    violations.push(...(await settled(users)));
    settledAt = performance.now();
    violations.push(...(await judgedTwice(world, users, againMs)));
  } catch (error) {
    violations.push(`the run broke off: ${String(error)}`);
  }
  await Promise.allSettled(users.map((user) => user.stop()));
  if (violations.length === 0) violations.push(...(await judgedSockets(world)));
  await Promise.allSettled(world.keepers.map((keeper) => keeper.stop()));
  violations.push(...judgedRemains(world));
  const kept = violations.length > 0 ? world.keep() : undefined;
  const times = { faultsMs: quietAt - began, settlingMs: settledAt - quietAt };
  return { ...summed(world, users, done), ...times, broker, seed, redisKeeps: plan.redisKeeps, violations, kept };
}

async function usersOf(world: World, seed: number): Promise<User[]> {
  const random = seeded(seed);
  const chances = NAMES.map(() => seeded(Math.floor(random() * 2 ** 32)));
  const users = await Promise.all(NAMES.map((name, i) => User.make(world.serve, name, chances[i] as () => number)));
  for (const user of users) user.start(users);
  return users;
}

/** Goes through the plan; `done` holds what has happened of it. */
async function afflictAll(settings: Settings, plan: Plan, world: World, users: readonly User[], done: Step[]): Promise<void> {
  const { kills, limitMs = Number.POSITIVE_INFINITY, say } = settings;
  const began = performance.now();
  for (const step of plan.steps) {
    if (performance.now() - began > limitMs) break;
    await moved(users, step.transitions);
    await afflict(world, step);
    done.push(step);
    const { kills: so, accepted, ended } = summed(world, users, done);
    const what = step.faults.map(({ kind, target, lastsMs }) => `${kind} (${target}, ${lastsMs} ms)`);
    say(`${so}/${kills} kills  ${accepted} accepted  ${ended} ended  ${what.join(" with ")}`);
  }
}

/** Waits until sockets have told of so many more transitions, but not for ever. */
async function moved(users: readonly User[], transitions: number): Promise<void> {
  const heard = (): number => users.reduce((sum, { view }) => sum + view.transitions, 0);
  const until = heard() + transitions;
  const limit = performance.now() + STILL_MS;
  while (heard() < until && performance.now() < limit) await Bun.sleep(LOOK_MS);
}

async function judgedTwice(world: World, users: readonly User[], againMs: number): Promise<string[]> {
  const told = (): string => JSON.stringify(users.map(({ view }) => [...view.tasks]));
  const before = told();
  const violations = await judged(world, users);
  await Bun.sleep(againMs);
  violations.push(...(await judged(world, users)).map((what) => `${againMs} ms later: ${what}`));
  if (told() !== before) violations.push("sockets told of something after everything had ended");
  return violations;
}
