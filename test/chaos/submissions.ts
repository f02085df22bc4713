/** The tasks that users submit, and what must become of each. */
import { chosen, whole } from "./chance.ts";

export interface Submission {
  readonly name: string;
  readonly input: unknown;
}

export interface Outcome {
  readonly status: "done" | "failed";
  readonly attempt: number;
  readonly result: unknown;
  /** The code of its error. */
  readonly error: string | null;
}

interface TaskKind {
  readonly weight: number;
  readonly input: (random: () => number) => Readonly<Record<string, number>>;
  readonly outcome: (input: Readonly<Record<string, number>>) => Outcome;
}

const done = (result: unknown, attempt = 1): Outcome => ({ status: "done", attempt, result, error: null });
const failed = (error: string): Outcome => ({ status: "failed", attempt: 1, result: null, error });

/** See support/e2e-tasks.ts. */
const KINDS: Readonly<Record<string, TaskKind>> = {
  quick: { weight: 50, input: (random) => ({ n: whole(random, 1e9) }), outcome: ({ n = 0 }) => done(n * 2) },
  slow: { weight: 20, input: (random) => ({ ms: whole(random, 400) }), outcome: () => done("slept") },
  talking: { weight: 8, input: (random) => ({ n: 1 + whole(random, 30) }), outcome: ({ n }) => done(`said ${n}`) },
  retrying: { weight: 12, input: (random) => ({ until: 1 + whole(random, 4) }), outcome: ({ until }) => done(until, until) },
  failing: { weight: 10, input: (random) => ({ n: whole(random, 1e9) }), outcome: () => failed("no_luck") },
  mortal: { weight: 0.15, input: () => ({}), outcome: () => done("survived") },
  killer: { weight: 0.05, input: () => ({}), outcome: () => failed("poison") },
};

/** Those that kill whoever runs them. */
export const isLethal = (name: string): boolean => name === "mortal" || name === "killer";

export function drawTask(random: () => number): Submission {
  const [name, { input }] = chosen(Object.entries(KINDS), ([, { weight }]) => weight, random);
  return { name, input: input(random) };
}

/** One batch is of one kind, and of none that is lethal. */
export function drawBatch(random: () => number): Submission[] {
  const { name } = drawTask(random);
  const kind = isLethal(name) ? "quick" : name;
  return Array.from({ length: 2 + whole(random, 14) }, () => ({ name: kind, input: KINDS[kind]?.input(random) }));
}

export function outcomeOf({ name, input }: Submission): Outcome {
  return (KINDS[name] as TaskKind).outcome(input as Record<string, number>);
}

/** To compare by what was asked for. */
export const same = ({ name, input }: Submission): string => `${name} ${JSON.stringify(input)}`;
