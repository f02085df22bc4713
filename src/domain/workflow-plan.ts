/**
 * A workflow as its owner describes it, and the plan that is made of it. Between two nodes of a chain stands a joint: the
 * last tasks of the one count into it, and the first tasks of the other wait for it. So each task waits for one joint at
 * most and counts into one, and a group of 500 after a group of 500 makes 1,000 links, not 250,000.
 */
import { parseDelay } from "./duration.ts";
import { type InputProblem, InvalidInput } from "./errors.ts";
import { pointerTo } from "./json-pointer.ts";
import { findReferences } from "./result-reference.ts";
import { PRIORITIES, type Priority } from "./task.ts";

/** Tasks of one workflow, at most. */
export const WORKFLOW_TASKS_MAX = 1_000;
/** Workflows inside of each other, at most. */
export const WORKFLOW_DEPTH_MAX = 8;
/** Of all that is wrong with a description the first so many are told. */
const PROBLEMS_MAX = 20;

/** What a node comes to: a task's result, or the list of what its members come to. */
export type Shape<Leaf> = Leaf | readonly Shape<Leaf>[];

export interface PlannedJoint {
  /** How many tasks count into it. */
  readonly pending: number;
  /** What it hands on; tasks by their place among the steps. */
  readonly value: Shape<number>;
}

export interface PlannedStep {
  /** Where it stands in the description, as a JSON Pointer. */
  readonly path: string;
  readonly task: string;
  readonly input: unknown;
  readonly priority: Priority;
  /** It waits for so long after what stands before it is done, or after the submission, in milliseconds. */
  readonly delayMs: number;
  /** Its input holds references to the value of what it waits for. */
  readonly unresolved: boolean;
  /** Places among the joints; null: it waits for nothing. */
  readonly waitsFor: number | null;
  readonly countsInto: number;
}

export interface Plan {
  /** In the order in which they are written. */
  readonly steps: readonly PlannedStep[];
  /** The last one is the end: its value is the workflow's. */
  readonly joints: readonly PlannedJoint[];
}

/** What is said of the whole. */
export interface PlanOptions {
  /** What waits for nothing else waits for so long, beside its own delay; in milliseconds. Default 0. */
  readonly delayMs?: number | undefined;
  /** Of steps that say none. Default "normal". */
  readonly priority?: Priority | undefined;
}

/** @throws InvalidInput `invalid_input` with the paths of what is wrong */
export function planOf(description: unknown, options: PlanOptions = {}): Plan {
  const planner = new Planner(options);
  const plan = planner.plan(description);
  if (planner.problems.length > 0)
    throw new InvalidInput("invalid_input", "this is no workflow", planner.problems.slice(0, PROBLEMS_MAX));
  return plan;
}

interface Joint {
  pending: number;
  value: Shape<number>;
}

interface Place {
  readonly path: string;
  /** How many workflows it stands in. */
  readonly depth: number;
  readonly before: Joint | null;
  readonly after: Joint;
}

type Fields = Readonly<Record<string, unknown>>;

/** The fields that each kind of node has, by the one that tells it. */
const KINDS: Readonly<Record<string, readonly string[]>> = {
  task: ["task", "input", "priority", "delay"],
  chain: ["chain"],
  group: ["group"],
  chord: ["chord", "then"],
};

class Planner {
  readonly problems: InputProblem[] = [];
  readonly #steps: (Omit<PlannedStep, "waitsFor" | "countsInto"> & { waitsFor: Joint | null; countsInto: Joint })[] = [];
  readonly #joints: Joint[] = [];
  readonly #options: PlanOptions;
  #tasks = 0;

  constructor(options: PlanOptions) {
    this.#options = options;
  }

  plan(description: unknown): Plan {
    const end: Joint = { pending: 0, value: [] };
    if (kindOf(description) === "task")
      this.#refuse("", "must be a chain, a group or a chord; POST /tasks/{name} takes single tasks");
    else end.value = this.#node(description, { path: "", depth: 0, before: null, after: end });
    const joints = [...this.#joints, end];
    const placeOf = new Map(joints.map((joint, i) => [joint, i]));
    const steps = this.#steps.map((step) => ({
      ...step,
      waitsFor: step.waitsFor === null ? null : (placeOf.get(step.waitsFor) ?? null),
      countsInto: placeOf.get(step.countsInto) ?? 0,
    }));
    return { steps, joints };
  }

  /** @returns what the node comes to */
  #node(node: unknown, place: Place): Shape<number> {
    // No more of it is told, so no more of it is looked at.
    if (this.problems.length >= PROBLEMS_MAX) return [];
    const kind = kindOf(node);
    if (kind === undefined) return this.#refuse(place.path, "must have one of the fields task, chain, group and chord");
    const fields = node as Fields;
    for (const name of Object.keys(fields))
      if (!KINDS[kind]?.includes(name)) this.#refuse(pointerTo(place.path, name), "unknown field");
    if (kind === "task") return this.#step(fields, place);
    if (place.depth === WORKFLOW_DEPTH_MAX) return this.#refuse(place.path, `nested deeper than ${WORKFLOW_DEPTH_MAX}`);
    const members = this.#members(fields[kind], pointerTo(place.path, kind));
    if (kind === "group") return this.#group(members, { ...place, path: pointerTo(place.path, kind) });
    if (kind === "chain") return this.#chain(members, { ...place, path: pointerTo(place.path, kind) });
    return this.#chord(members, fields, place);
  }

  #group(members: readonly unknown[], { path, depth, ...joints }: Place): Shape<number> {
    return members.map((member, i) => this.#node(member, { path: pointerTo(path, i), depth: depth + 1, ...joints }));
  }

  #chain(members: readonly unknown[], { path, depth, before, after }: Place): Shape<number> {
    let last: Joint | null = before;
    for (const [i, member] of members.entries()) {
      const next = i === members.length - 1 ? after : this.#joint();
      const value = this.#node(member, { path: pointerTo(path, i), depth: depth + 1, before: last, after: next });
      if (next === after) return value;
      next.value = value;
      last = next;
    }
    return [];
  }

  #chord(members: readonly unknown[], fields: Fields, { path, depth, before, after }: Place): Shape<number> {
    const between = this.#joint();
    between.value = this.#group(members, { path: pointerTo(path, "chord"), depth, before, after: between });
    const then = pointerTo(path, "then");
    if (!Object.hasOwn(fields, "then")) return this.#refuse(then, "required");
    return this.#node(fields["then"], { path: then, depth: depth + 1, before: between, after });
  }

  #step(fields: Fields, { path, before, after }: Place): Shape<number> {
    this.#tasks += 1;
    if (this.#tasks === WORKFLOW_TASKS_MAX + 1) this.#refuse("", `more than ${WORKFLOW_TASKS_MAX} tasks in all`);
    if (this.#tasks > WORKFLOW_TASKS_MAX) return [];
    const { task, priority = this.#options.priority ?? "normal", input = {} } = fields;
    if (typeof task !== "string") return this.#refuse(pointerTo(path, "task"), "must be string");
    if (!isPriority(priority)) return this.#refuse(pointerTo(path, "priority"), `must be one of ${PRIORITIES.join(", ")}`);
    const delayMs = this.#delayOf(fields, path) + (before === null ? (this.#options.delayMs ?? 0) : 0);
    const references = findReferences(input, pointerTo(path, "input"), before !== null);
    this.problems.push(...references.problems.slice(0, PROBLEMS_MAX));
    after.pending += 1;
    const unresolved = references.count > 0;
    return this.#steps.push({ path, task, input, priority, delayMs, unresolved, waitsFor: before, countsInto: after }) - 1;
  }

  #delayOf({ delay = "0s" }: Fields, path: string): number {
    try {
      if (typeof delay === "string") return parseDelay(delay);
      this.#refuse(pointerTo(path, "delay"), "must be string");
    } catch (error) {
      if (!(error instanceof InvalidInput)) throw error;
      this.#refuse(pointerTo(path, "delay"), error.message);
    }
    return 0;
  }

  #members(members: unknown, path: string): readonly unknown[] {
    if (Array.isArray(members) && members.length > 0) return members;
    this.#refuse(path, "must be an array of at least one");
    return [];
  }

  #joint(): Joint {
    const joint: Joint = { pending: 0, value: [] };
    this.#joints.push(joint);
    return joint;
  }

  #refuse(path: string, message: string): readonly [] {
    this.problems.push({ path, message });
    return [];
  }
}

/** Undefined: not exactly one of the fields that tell it. */
function kindOf(node: unknown): string | undefined {
  if (typeof node !== "object" || node === null || Array.isArray(node)) return undefined;
  const kinds = Object.keys(KINDS).filter((kind) => Object.hasOwn(node, kind));
  return kinds.length === 1 ? kinds[0] : undefined;
}

const isPriority = (value: unknown): value is Priority => PRIORITIES.some((priority) => priority === value);
