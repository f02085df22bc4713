/** Where workflows are kept, beside the tasks that are their members and within the same transactions. */
import type { Workflow } from "../domain/workflow.ts";
import type { Shape } from "../domain/workflow-plan.ts";
import type { StoredTask } from "./tasks.ts";

export interface StoredWorkflow extends Workflow {
  /** Rises with acceptance; the key of pages. */
  readonly n: number;
  /** From the counter of tasks; renewed when its owner is told of a change. */
  readonly seq: number;
  /** The owner's UUID. */
  readonly ownerId: string;
}

export interface NewJoint {
  readonly pending: number;
  /** What it hands on; tasks by their ids. */
  readonly value: Shape<string>;
}

/** The key that a submission can be repeated with, and SHA-256 of what was submitted. */
export interface Repeatable {
  readonly key: string;
  readonly digest: string;
}

/** How a task stands in its workflow. */
export interface Membership {
  /** Keys of joints; null: it waits for nothing. */
  readonly waitsFor: number | null;
  readonly countsInto: number;
  /** How long it waits after what it waits for is done, in milliseconds. */
  readonly delayMs: number;
  /** Its args refer to the value of what it waits for, and that has not been put in yet. */
  readonly unresolved: boolean;
  /** It was cancelled because of a task before it. */
  readonly abandoned: boolean;
}

export interface Joint {
  /** Tasks before it that have not ended. */
  readonly pending: number;
  /** Tasks before it that failed or were cancelled. */
  readonly bad: number;
}

export interface WorkflowQuery {
  /** Undefined: everybody's. */
  readonly owner?: number | undefined;
  /** Only those with a smaller n. */
  readonly before?: number | undefined;
  readonly limit: number;
}

export interface WorkflowPage {
  readonly items: readonly StoredWorkflow[];
  /** The `before` of the next page; null: that was the last. */
  readonly next: number | null;
}

/** Workflows whose seq lies behind `after` and not behind `upTo`. */
export interface WorkflowChangeQuery {
  readonly after: number;
  readonly upTo: number;
  /** Undefined: everybody's. */
  readonly owner?: number | undefined;
}

export interface WorkflowStore {
  /** @returns the workflow, and the keys of its joints in their order */
  insert(
    workflow: Workflow,
    seq: number,
    ownerId: string,
    joints: readonly NewJoint[],
    repeatable: Repeatable | undefined,
  ): { readonly workflow: StoredWorkflow; readonly joints: readonly number[] };
  /** The task, whose row is there, belongs to the workflow. */
  addMember(workflow: StoredWorkflow, task: StoredTask, membership: Omit<Membership, "abandoned">): void;
  get(id: string): StoredWorkflow | undefined;
  byIdempotencyKey(owner: number, key: string): { readonly id: string; readonly digest: string } | undefined;
  /** @param untold whether its owner is yet to be told of it; only where not, seq is new */
  update(workflow: StoredWorkflow, untold: boolean): void;
  /** Those whose owners are yet to be told of a change. */
  untold(limit: number): readonly StoredWorkflow[];
  /** There is one. */
  any(): boolean;

  page(query: WorkflowQuery): WorkflowPage;
  /** In seq order. */
  changed(query: WorkflowChangeQuery, limit: number): readonly StoredWorkflow[];
  /** Counted up to `limit`. */
  countChanged(query: WorkflowChangeQuery, limit: number): number;

  /** Its tasks, in the order in which they were written. */
  members(workflow: StoredWorkflow): readonly StoredTask[];
  memberIds(id: string): readonly string[];
  /** Undefined: the task is no member of a workflow. */
  membership(task: StoredTask): Membership | undefined;
  setMembership(task: StoredTask, change: Partial<Pick<Membership, "unresolved" | "abandoned">>): void;

  joint(joint: number): Joint;
  /** Adds to what it counts. @returns it as it is then */
  countInto(joint: number, pending: number, bad: number): Joint;
  /** The tasks that wait for it, or did. */
  waitersOf(joint: number): readonly StoredTask[];
  /** The key of the joint at a workflow's end. */
  endOf(workflow: StoredWorkflow): number;
  /** What a joint hands on; tasks by their keys. */
  valueOf(joint: number): Shape<number>;
  /** Bytes of a task's result, by the task's key. */
  resultBytes(task: number): number;
  /** JSON text; null where there is none. */
  result(task: number): string | null;
}
