/**
 * A workflow's life, as pure functions. It is what its members are: in progress until all of them have ended, then failed
 * if one of them failed, else cancelled if one was cancelled, else done.
 */
import { isTerminal, STATUSES, type Status, type Task } from "./task.ts";

export const WORKFLOW_STATUSES = ["in progress", "done", "failed", "cancelled"] as const;
export type WorkflowStatus = (typeof WORKFLOW_STATUSES)[number];

/** Members by status. */
export type Counts = Readonly<Record<Status, number>>;

export interface Workflow {
  readonly id: string;
  /** The owner's integer key. */
  readonly owner: number;
  readonly counts: Counts;
  /** Sum of how far the members had come that have ended, in millionths: whole numbers add up the same in any order. */
  readonly reached: number;
  /** Milliseconds since 1970 UTC, as is `finishedAt`. */
  readonly createdAt: number;
  readonly finishedAt: number | null;
}

const WHOLE = 1_000_000;

/** @param statuses the members' first ones */
export function beginWorkflow(spec: { id: string; owner: number; statuses: readonly Status[] }, now: number): Workflow {
  const counts = Object.fromEntries(STATUSES.map((status) => [status, 0])) as Record<Status, number>;
  for (const status of spec.statuses) counts[status] += 1;
  return { id: spec.id, owner: spec.owner, counts, reached: 0, createdAt: now, finishedAt: null };
}

/** A member's status has changed. */
export function followMember<T extends Workflow>(workflow: T, before: Task, after: Task): T {
  const counts = { ...workflow.counts };
  counts[before.status] -= 1;
  counts[after.status] += 1;
  const reached = workflow.reached - reachedBy(before) + reachedBy(after);
  return { ...workflow, counts, reached, finishedAt: statusOf(counts) === "in progress" ? null : after.finishedAt };
}

export function statusOf(counts: Counts): WorkflowStatus {
  if (STATUSES.some((status) => !isTerminal(status) && counts[status] > 0)) return "in progress";
  if (counts.failed > 0) return "failed";
  return counts.cancelled > 0 ? "cancelled" : "done";
}

/**
 * How much of it is done, 0 to 1: the mean of its members.
 *
 * @param running sum of the shares that running members have reported; without it they count when they have ended
 */
export function progressOf({ counts, reached }: Workflow, running = 0): number {
  const members = STATUSES.reduce((sum, status) => sum + counts[status], 0);
  return members === 0 ? 0 : Math.min(1, (reached / WHOLE + running) / members);
}

/** What is said of a task that is cancelled because of one before it. */
export function whyAbandoned({ id, name, status }: Pick<Task, "id" | "name" | "status">): string {
  return `the task ${id} (${name}) before it ${status === "failed" ? "failed" : "was cancelled"}`;
}

function reachedBy(task: Task): number {
  return isTerminal(task.status) ? Math.round((task.progress ?? 0) * WHOLE) : 0;
}
