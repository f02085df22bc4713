import { type DocumentDecoration, Elysia, type Static } from "elysia";
import type { Accounts } from "../services/accounts.ts";
import type { Caller } from "../services/tasks.ts";
import type { Workflows } from "../services/workflows.ts";
import { identifiedJsonBody, requireIdentity } from "./bearer.ts";
import { describe, json } from "./operation.ts";
import { pageJson, pageOf } from "./paging.ts";
import { submitOptions, submitParameters } from "./submission.ts";
import { callerOf } from "./tasks.ts";
import * as schemas from "./workflow-schemas.ts";
import { workflowJson, workflowSummaryJson } from "./workflow-views.ts";

interface Deps {
  readonly workflows: Workflows;
  readonly accounts: Accounts;
}

type Workflow = Static<typeof schemas.WorkflowSchema>;

const TAG = { tags: ["workflows"] };
const LOCATION = { location: { description: "The workflow's path.", schema: { type: "string" } } };
const SUBMIT: DocumentDecoration = {
  ...TAG,
  description:
    "A **chain** runs its nodes one after the other, a **group** all at the same time, a **chord** is a group and then one more " +
    "node. A node is a step or a workflow again. A step waits until all of the node before it is done; meanwhile it is `scheduled`, " +
    "with `run_at` null. With a `delay` it then waits for that as well. `priority` and `delay` of the call are for steps that say no " +
    "priority, and for what waits for nothing.\n\n" +
    'Results are passed by references: `{"$result": "/pages/0/url"}` inside of an input. The value of a step is its result, of a ' +
    "chain and a chord that of the last node, of a group the list of its members' values. An input with references is checked when " +
    "they are replaced; if it does not fit then, the task fails with `invalid_input`, and beyond 8 MiB (128 MiB for all that wait " +
    "for the same node) with `input_too_large`.\n\n" +
    "When a task fails or is cancelled, what runs or is queued beside it goes on to its end; what waits for it, directly or not, " +
    "is cancelled. Once all tasks have ended the workflow is `failed` if one failed, else `cancelled` if one was cancelled, else " +
    "`done`. Retrying a task revives what was cancelled because of it alone.",
  parameters: submitParameters(
    schemas.WorkflowSubmitQuery,
    "Repeats with the same key and workflow get the first one; with another workflow, 409.",
  ),
  requestBody: {
    required: true,
    content: { "application/json": { schema: schemas.DescriptionSchema as object, examples: schemas.EXAMPLES } },
  },
};

/** Tasks that wait for each other: /workflows. */
export function workflowRoutes({ workflows, accounts }: Deps) {
  const caller = async (request: Request): Promise<Caller> => callerOf(await requireIdentity(request, accounts));
  return new Elysia({ name: "artel/workflows", prefix: "/workflows", normalize: false })
    .post(
      "",
      async ({ body, query, request }) => {
        const { id, taskIds } = await workflows.submit(await caller(request), body, submitOptions(query, request));
        return json<Static<typeof schemas.WorkflowAcceptedSchema>>(202, JSON.stringify({ workflow_id: id, task_ids: taskIds }), {
          location: `/workflows/${id}`,
        });
      },
      {
        parse: identifiedJsonBody(accounts),
        query: schemas.WorkflowSubmitQuery,
        detail: describe(
          "submitWorkflow",
          "Submit tasks that wait for each other, all or none",
          [202, "All accepted and stored", schemas.WorkflowAcceptedSchema, LOCATION],
          [400, 409, 413, 415, 422, 429, 503],
          SUBMIT,
        ),
      },
    )
    .get(
      "",
      async ({ query, request }) => {
        const who = await caller(request);
        const page = workflows.list(who, pageOf(who, accounts, query));
        return json<Static<typeof schemas.WorkflowPageSchema>>(200, pageJson(page.items.map(workflowSummaryJson), page.next));
      },
      {
        query: schemas.WorkflowQuerySchema,
        detail: describe(
          "listWorkflows",
          "Workflows, newest first",
          [200, "A page", schemas.WorkflowPageSchema],
          [403, 422],
          TAG,
        ),
      },
    )
    .get(
      "/:workflow_id",
      async ({ params, request }) => json<Workflow>(200, workflowJson(workflows.show(await caller(request), params.workflow_id))),
      {
        detail: describe(
          "getWorkflow",
          "Read a workflow: status, progress, result, tasks",
          [200, "The workflow", schemas.WorkflowSchema],
          [404],
          TAG,
        ),
      },
    )
    .post(
      "/:workflow_id/cancel",
      async ({ params, request }) =>
        json<Workflow>(202, workflowJson(await workflows.cancel(await caller(request), params.workflow_id))),
      {
        parse: "none",
        detail: describe(
          "cancelWorkflow",
          "Cancel every task of a workflow that has not ended",
          [202, "What waited is cancelled, the workers of what runs are told to stop", schemas.WorkflowSchema],
          [404, 409, 503],
          TAG,
        ),
      },
    )
    .post(
      "/:workflow_id/retry",
      async ({ params, request }) =>
        json<Workflow>(202, workflowJson(await workflows.retry(await caller(request), params.workflow_id))),
      {
        parse: "none",
        detail: describe(
          "retryWorkflow",
          "Run what failed or was cancelled of an ended workflow once more",
          [202, "Queued again, or waiting for what is", schemas.WorkflowSchema],
          [404, 409, 429, 503],
          TAG,
        ),
      },
    );
}
