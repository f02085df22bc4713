import { type TUnsafe, Type } from "@sinclair/typebox";
import { t } from "elysia";
import { PRIORITIES, STATUSES } from "../domain/task.ts";

/**
 * What the task routes take and answer, for validation and for the OpenAPI document. Integers are TypeBox's own: Elysia's take
 * texts as well, and compile a check for each as it is declared.
 */

export const Time = t.String({ format: "date-time" });
export const Nullable = <T extends Parameters<typeof t.Union>[0][number]>(schema: T) => t.Union([schema, t.Null()]);
const Any = t.Unknown({ description: "Any JSON value." });

/** Typed by hand: of a list of literals clients would see no type. */
export const OneOf = <Word extends string>(words: readonly Word[]) =>
  t.Union(words.map((word) => t.Literal(word))) as unknown as TUnsafe<Word>;

export const StatusSchema = OneOf(STATUSES);
export const PrioritySchema = OneOf(PRIORITIES);

export const ErrorSchema = t.Object({ code: t.String(), message: t.String() });

const summary = {
  task_id: t.String({ format: "uuid" }),
  owner_id: t.String({ format: "uuid" }),
  name: t.String(),
  queue: t.String(),
  priority: PrioritySchema,
  status: StatusSchema,
  progress: Nullable(t.Number({ minimum: 0, maximum: 1, description: "Share that is done." })),
  message: Nullable(t.String()),
  error: Nullable(ErrorSchema),
  attempt: Type.Integer({ minimum: 1 }),
  max_attempts: Type.Integer({ minimum: 1 }),
  cancel_requested: t.Boolean(),
  created_at: Time,
  run_at: t.Union([Time, t.Null()], { description: "Null while it waits for other tasks of its workflow." }),
  started_at: Nullable(Time),
  finished_at: Nullable(Time),
  seq: Type.Integer({ description: "Rises with every stored transition." }),
  workflow_id: t.Optional(t.String({ format: "uuid", description: "Of a member of a workflow, and of no other task." })),
};

export const TaskSummarySchema = t.Object(summary);
export const TaskSchema = t.Object({
  ...summary,
  args: Any,
  result: Any,
  waiting: t.Optional(t.String({ description: "Of a queued task: why no worker has taken it; left out where one is about to." })),
});
export const AcceptedSchema = t.Object({ task_id: t.String({ format: "uuid" }), status: StatusSchema });
export const BatchAcceptedSchema = t.Object({ task_ids: t.Array(t.String({ format: "uuid" })) });
export const TaskPageSchema = t.Object({ items: t.Array(TaskSummarySchema), next_cursor: Nullable(t.String()) });
export const LogSchema = t.Object({
  items: t.Array(
    t.Object({
      at: Time,
      level: t.Union([t.Literal("debug"), t.Literal("info"), t.Literal("warn"), t.Literal("error")]),
      message: t.String(),
    }),
  ),
});
export const DefinitionSchema = t.Object({
  name: t.String(),
  description: t.String(),
  queue: t.String(),
  input: t.Record(t.String(), t.Unknown(), { description: "JSON Schema of the input." }),
  output: t.Optional(t.Record(t.String(), t.Unknown(), { description: "JSON Schema of the result, where the task says it." })),
  timeout_ms: Type.Integer({ description: "One attempt's limit." }),
  max_attempts: Type.Integer(),
  concurrency: Nullable(Type.Integer({ description: "At most so many run at the same time; null: any number." })),
  per_user: Nullable(Type.Integer({ description: "At most so many of one user; null: any number." })),
  starts_per_second: Nullable(t.Number({ description: "Attempts begin no faster; null: as fast as they come." })),
});
export const DefinitionsSchema = t.Array(DefinitionSchema);

export const SubmitQuery = t.Object(
  {
    delay: t.Optional(t.String({ description: "Run it no sooner than after this long, such as `30s` or `5m`." })),
    priority: t.Optional(PrioritySchema),
  },
  { additionalProperties: false },
);

/** Read by the handler, for the router would take 0x10 and 1e2 for numbers too; an integer to readers of the document. */
export const LimitSchema = t.Any({
  type: "integer",
  minimum: 1,
  maximum: 200,
  description: "1 to 200; 50 where it is left out.",
}) as unknown as ReturnType<typeof t.String>;

export const ListQuerySchema = t.Object(
  {
    status: t.Optional(StatusSchema),
    name: t.Optional(t.String()),
    limit: t.Optional(LimitSchema),
    cursor: t.Optional(t.String({ description: "`next_cursor` of the page before." })),
    owner: t.Optional(t.String({ description: "Admins: another account's id, or `all`." })),
  },
  { additionalProperties: false },
);
