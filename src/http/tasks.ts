import { type DocumentDecoration, Elysia, type Static } from "elysia";
import type { Identity } from "../domain/account.ts";
import type { TaskPolicy } from "../domain/definition.ts";
import { InvalidInput } from "../domain/errors.ts";
import type { Priority } from "../domain/task.ts";
import type { Accounts } from "../services/accounts.ts";
import type { BatchOptions, Caller, Tasks } from "../services/tasks.ts";
import { identifiedJsonBody, requireIdentity } from "./bearer.ts";
import { readJson } from "./body.ts";
import { describe, json } from "./operation.ts";
import { pageJson, pageOf } from "./paging.ts";
import { submitOptions, submitParameters } from "./submission.ts";
import * as schemas from "./task-schemas.ts";
import { iso, taskJson, taskSummaryJson } from "./views.ts";

interface Deps {
  readonly tasks: Tasks;
  readonly accounts: Accounts;
}

const BATCH_MAX = 1_000;

const BATCH_PROBLEMS = [400, 404, 413, 415, 422, 429, 503];
const SUBMIT_PROBLEMS = [...BATCH_PROBLEMS, 409];
const LOCATION = { location: { description: "The task's path.", schema: { type: "string" } } };
const SUBMIT_PARAMETERS = submitParameters(
  schemas.SubmitQuery,
  "Repeats with the same key and input get the first one's task; with another input, 409.",
);

/** Task inputs differ from task to task, so the router checks none; the document tells that there is a body. */
const submitted = (schema: object): DocumentDecoration => ({
  requestBody: { required: true, content: { "application/json": { schema } } },
});

/**
 * Tasks: /tasks. One parameter name in a place is all that the router takes, so `:name` is also a task's id below; the
 * OpenAPI document tells them apart.
 */
export function taskRoutes({ tasks, accounts }: Deps) {
  const caller = (request: Request): Caller | Promise<Caller> => {
    const identity = requireIdentity(request, accounts);
    return identity instanceof Promise ? identity.then(callerOf) : callerOf(identity);
  };
  const body = identifiedJsonBody(accounts);
  return new Elysia({ name: "artel/tasks", prefix: "/tasks", normalize: false })
    .get(
      "/definitions",
      async ({ request }) => {
        await caller(request);
        return json<Static<typeof schemas.DefinitionsSchema>>(200, JSON.stringify(tasks.definitions().map(definitionView)));
      },
      {
        detail: describe(
          "listDefinitions",
          "The tasks that can be submitted",
          [200, "The definitions", schemas.DefinitionsSchema],
          [],
        ),
      },
    )
    .post(
      "/:name",
      async ({ params, query, request }) => {
        // 401 comes before anything is read, and a known token costs no promise.
        const known = caller(request);
        const who = known instanceof Promise ? await known : known;
        const task = await tasks.submit(who, params.name, await readJson(request), submitOptions(query, request));
        return json<Static<typeof schemas.AcceptedSchema>>(202, `{"task_id":"${task.id}","status":"${task.status}"}`, {
          location: `/tasks/${task.id}`,
        });
      },
      {
        parse: "none",
        query: schemas.SubmitQuery,
        detail: describe(
          "submitTask",
          "Submit any task",
          [202, "Accepted and stored", schemas.AcceptedSchema, LOCATION],
          SUBMIT_PROBLEMS,
          {
            description: "The body is the task's input, see GET /tasks/definitions.",
            parameters: SUBMIT_PARAMETERS,
            ...submitted({ description: "The task's input." }),
          },
        ),
      },
    )
    .post(
      "/:name/batch",
      async ({ params, query, body, request }) => {
        const accepted = await tasks.submitBatch(await caller(request), params.name, batchOf(body), batchOptions(query, request));
        return json<Static<typeof schemas.BatchAcceptedSchema>>(
          202,
          `{"task_ids":${JSON.stringify(accepted.map(({ id }) => id))}}`,
        );
      },
      {
        parse: body,
        query: schemas.SubmitQuery,
        detail: describe(
          "submitBatch",
          "Submit up to 1,000 of one task, all or none",
          [202, "All accepted and stored", schemas.BatchAcceptedSchema],
          BATCH_PROBLEMS,
          submitted({ type: "array", items: { description: "One task's input." }, minItems: 1, maxItems: BATCH_MAX }),
        ),
      },
    )
    .get(
      "",
      async ({ query, request }) => {
        const who = await caller(request);
        const page = tasks.list(who, listQuery(who, accounts, query));
        return json<Static<typeof schemas.TaskPageSchema>>(200, pageJson(page.items.map(taskSummaryJson), page.next));
      },
      {
        query: schemas.ListQuerySchema,
        detail: describe("listTasks", "Tasks, newest first", [200, "A page", schemas.TaskPageSchema], [403, 422]),
      },
    )
    .get(
      "/:name",
      async ({ params, request }) => {
        const task = tasks.show(await caller(request), params.name);
        return json<Static<typeof schemas.TaskSchema>>(200, taskJson(task, await tasks.whyWaiting(task)));
      },
      { detail: describe("getTask", "Read a task: status, progress, result", [200, "The task", schemas.TaskSchema], [404]) },
    )
    .get(
      "/:name/logs",
      async ({ params, request }) => {
        const lines = tasks.logs(await caller(request), params.name);
        return json<Static<typeof schemas.LogSchema>>(
          200,
          JSON.stringify({ items: lines.map(({ at, level, message }) => ({ at: iso(at), level, message })) }),
        );
      },
      { detail: describe("getTaskLogs", "What a task has logged", [200, "Its lines, oldest first", schemas.LogSchema], [404]) },
    )
    .post(
      "/:name/cancel",
      async ({ params, request }) =>
        json<Static<typeof schemas.TaskSchema>>(202, taskJson(await tasks.cancel(await caller(request), params.name))),
      {
        parse: "none",
        detail: describe(
          "cancelTask",
          "Cancel a task",
          [202, "Cancelled, or its worker is told to stop", schemas.TaskSchema],
          [404, 409, 503],
        ),
      },
    )
    .post(
      "/:name/retry",
      async ({ params, request }) =>
        json<Static<typeof schemas.TaskSchema>>(202, taskJson(await tasks.retry(await caller(request), params.name))),
      {
        parse: "none",
        detail: describe(
          "retryTask",
          "Run a failed or cancelled task once more",
          [202, "Queued again", schemas.TaskSchema],
          [404, 409, 429, 503],
        ),
      },
    );
}

export function callerOf(identity: Identity): Caller {
  return { n: identity.accountKey, id: identity.accountId, admin: identity.role === "admin" };
}

/** One key stands for one task, so it cannot stand for many. */
function batchOptions(query: { delay?: string; priority?: Priority }, request: Request): BatchOptions {
  if (request.headers.has("idempotency-key")) {
    throw new InvalidInput(
      "invalid_idempotency_key",
      "a batch takes no Idempotency-Key: submit its tasks one by one to use keys",
    );
  }
  return submitOptions(query, request);
}

function batchOf(body: unknown): readonly unknown[] {
  if (Array.isArray(body) && body.length > 0 && body.length <= BATCH_MAX) return body;
  throw new InvalidInput("invalid_input", `the body must be an array of 1 to ${BATCH_MAX} inputs`, [
    { path: "", message: `must be an array of 1 to ${BATCH_MAX} inputs` },
  ]);
}

type ListQueryInput = typeof schemas.ListQuerySchema.static;

function listQuery(who: Caller, accounts: Accounts, query: ListQueryInput): Parameters<Tasks["list"]>[1] {
  return {
    ...pageOf(who, accounts, query),
    ...(query.status === undefined ? {} : { status: query.status }),
    ...(query.name === undefined ? {} : { name: query.name }),
  };
}

function definitionView(policy: TaskPolicy) {
  const { name, description, queue, input, output, timeoutMs, retry, concurrency = null, perUser = null, rate } = policy;
  return {
    name,
    description,
    queue,
    input,
    ...(output && { output }),
    timeout_ms: timeoutMs,
    max_attempts: retry.maxAttempts,
    concurrency,
    per_user: perUser,
    starts_per_second: rate === undefined ? null : 1_000 / rate.tokenMs,
  };
}
