import { type TInteger, Type } from "@sinclair/typebox";
import { t } from "elysia";
import { PRIORITIES, STATUSES, type Status } from "../domain/task.ts";
import { WORKFLOW_STATUSES } from "../domain/workflow.ts";
import { LimitSchema, Nullable, OneOf, PrioritySchema, TaskSummarySchema, Time } from "./task-schemas.ts";

/** What the workflow routes take and answer, for the OpenAPI document. */

export const WorkflowStatusSchema = OneOf(WORKFLOW_STATUSES);
const counts = Object.fromEntries(STATUSES.map((status) => [status, Type.Integer({ minimum: 0 })]));
export const CountsSchema = t.Object(counts as Record<Status, TInteger>, { description: "Its tasks by status." });

const summary = {
  workflow_id: t.String({ format: "uuid" }),
  owner_id: t.String({ format: "uuid" }),
  status: WorkflowStatusSchema,
  progress: t.Number({
    minimum: 0,
    maximum: 1,
    description:
      "The mean of its tasks, of which each that is done counts as 1. What running tasks have reported is counted where the " +
      "tasks are shown; lists and notices count what has ended.",
  }),
  counts: CountsSchema,
  created_at: Time,
  finished_at: Nullable(Time),
  seq: Type.Integer({ description: "Rises when its owner is told of a change." }),
};

export const WorkflowSummarySchema = t.Object(summary);
export const WorkflowSchema = t.Object({
  ...summary,
  result: t.Unknown({ description: "Of its last node, once it is done; else null." }),
  truncated: t.Optional(t.Literal(true, { description: "The result is larger than 8 MiB and left out: read it task by task." })),
  tasks: t.Array(TaskSummarySchema, { description: "In the order in which the steps were written." }),
});
export const WorkflowPageSchema = t.Object({ items: t.Array(WorkflowSummarySchema), next_cursor: Nullable(t.String()) });
export const WorkflowAcceptedSchema = t.Object({
  workflow_id: t.String({ format: "uuid" }),
  task_ids: t.Array(t.String({ format: "uuid" }), { description: "In the order in which the steps are written." }),
});

export const WorkflowSubmitQuery = t.Object(
  {
    delay: t.Optional(
      t.String({
        description:
          "What waits for nothing else begins no sooner than after this long, such as `30s` or `5m`, beside its own delay.",
      }),
    ),
    priority: t.Optional(PrioritySchema),
  },
  { additionalProperties: false },
);

export const WorkflowQuerySchema = t.Object(
  {
    limit: t.Optional(LimitSchema),
    cursor: t.Optional(t.String({ description: "`next_cursor` of the page before." })),
    owner: t.Optional(t.String({ description: "Admins: another account's id, or `all`." })),
  },
  { additionalProperties: false },
);

/** The description refers to itself, so its parts stand under names of their own in the document. */
const named = (name: string) => ({ $ref: `#/components/schemas/${name}` });
const nodes = (description: string) => ({ type: "array", minItems: 1, items: named("WorkflowNode"), description });

export const StepSchema = {
  type: "object",
  description: "One task.",
  properties: {
    task: { type: "string", description: "A name of GET /tasks/definitions." },
    input: {
      description:
        'Its input; `{}` where it is left out. Anywhere inside, `{"$result": POINTER}` stands for the value of the node before, ' +
        'or for the part of it that the JSON Pointer leads to; `""` is all of it.',
    },
    priority: { type: "string", enum: [...PRIORITIES] },
    delay: {
      type: "string",
      description:
        "How long it waits after all that stands before it is done, such as `30s` or `5m`; `run_at` then says until when.",
    },
  },
  required: ["task"],
  additionalProperties: false,
};
export const NodeSchema = { anyOf: [named("WorkflowStep"), named("WorkflowDescription")] };
export const DescriptionSchema = {
  description: "Up to 1,000 tasks in all, up to 8 workflows inside of each other.",
  anyOf: [
    {
      type: "object",
      properties: { chain: nodes("One after the other; its value is that of the last one.") },
      required: ["chain"],
      additionalProperties: false,
    },
    {
      type: "object",
      properties: { group: nodes("All at the same time; its value is the list of theirs.") },
      required: ["group"],
      additionalProperties: false,
    },
    {
      type: "object",
      properties: { chord: nodes("All at the same time, and then one more node."), then: named("WorkflowNode") },
      required: ["chord", "then"],
      additionalProperties: false,
    },
  ],
};

/** By the summary that the docs page shows them under. */
export const EXAMPLES = {
  chain: {
    summary: "One after the other",
    value: {
      chain: [
        { task: "parse", input: { url: "https://example.com/" } },
        { task: "parse", input: { url: { $result: "/pages/0/links/0" } } },
      ],
    },
  },
  group: {
    summary: "At the same time",
    value: {
      group: [
        { task: "parse", input: { url: "https://example.com/" } },
        { task: "parse", input: { url: "https://example.org/" }, priority: "high" },
      ],
    },
  },
  chord: {
    summary: "At the same time, then one more with all results",
    value: {
      chord: [
        { task: "parse", input: { url: "https://example.com/" } },
        { task: "parse", input: { url: "https://example.org/" } },
      ],
      then: { task: "parse", input: { url: { $result: "/1/pages/0/links/0" } } },
    },
  },
};
