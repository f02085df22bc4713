import { STATUSES, type Status } from "../../domain/task.ts";
import type { Counts } from "../../domain/workflow.ts";
import type { StoredWorkflow } from "../../ports/workflows.ts";

/** A row of `workflows` as SQLite gives it; the columns of WORKFLOW_COLUMNS. */
export interface WorkflowRow {
  n: number;
  id: string;
  owner: number;
  seq: number;
  counts: string;
  reached: number;
  created_at: number;
  finished_at: number | null;
}

export const WORKFLOW_COLUMNS = "n, id, owner, seq, counts, reached, created_at, finished_at";

export function toWorkflow(row: WorkflowRow, ownerId: string): StoredWorkflow {
  return {
    n: row.n,
    id: row.id,
    owner: row.owner,
    ownerId,
    seq: row.seq,
    counts: countsOf(row.counts),
    reached: row.reached,
    createdAt: row.created_at,
    finishedAt: row.finished_at,
  };
}

export const countsText = (counts: Counts): string => JSON.stringify(STATUSES.map((status) => counts[status]));

function countsOf(text: string): Counts {
  const numbers = JSON.parse(text) as number[];
  return Object.fromEntries(STATUSES.map((status, code) => [status, numbers[code] ?? 0])) as Record<Status, number>;
}
