import { progressOf, statusOf } from "../domain/workflow.ts";
import type { StoredWorkflow } from "../ports/workflows.ts";
import type { WorkflowView } from "../services/workflows.ts";
import { iso, taskSummaryJson, time } from "./views.ts";

/** Workflows as JSON text. */

/** As lists show it. */
export function workflowSummaryJson(workflow: StoredWorkflow): string {
  return `{${head(workflow)},${tail(workflow)}}`;
}

/** With its tasks and, once it is done, its result. */
export function workflowJson({ workflow, members, result, truncated }: WorkflowView): string {
  const running = members.reduce((sum, task) => sum + (task.status === "in progress" ? (task.progress ?? 0) : 0), 0);
  return (
    `{${head(workflow, running)},"result":${result ?? "null"}${truncated ? ',"truncated":true' : ""},${tail(workflow)},` +
    `"tasks":[${members.map(taskSummaryJson).join(",")}]}`
  );
}

/** A notice of a workflow, as sockets get it. */
export function workflowNoticeJson(workflow: StoredWorkflow, at: number): string {
  const counts = JSON.stringify(workflow.counts);
  return `{"type":"workflow","seq":${workflow.seq},${head(workflow)},"counts":${counts},"at":"${iso(at)}"}`;
}

function head(workflow: StoredWorkflow, running?: number): string {
  return (
    `"workflow_id":"${workflow.id}","owner_id":"${workflow.ownerId}","status":"${statusOf(workflow.counts)}",` +
    `"progress":${progressOf(workflow, running)}`
  );
}

function tail({ counts, createdAt, finishedAt, seq }: StoredWorkflow): string {
  return `"counts":${JSON.stringify(counts)},"created_at":"${iso(createdAt)}","finished_at":${time(finishedAt)},"seq":${seq}`;
}
