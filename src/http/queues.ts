import { Elysia, t } from "elysia";
import type { Accounts } from "../services/accounts.ts";
import type { Pauses, QueueView } from "../services/pauses.ts";
import type { Staffing } from "../services/staffing.ts";
import { BEARER_SECURITY, requireAdmin } from "./bearer.ts";
import { problemResponses } from "./problem.ts";

interface Deps {
  readonly accounts: Accounts;
  readonly pauses: Pauses;
  readonly staffing: Staffing;
}

const QueueSchema = t.Object({
  queue: t.String(),
  paused: t.Boolean(),
  tasks: t.Array(
    t.Object({
      name: t.String(),
      paused: t.Boolean(),
      queued: t.Integer({ description: "Tasks that wait for a worker, of all users." }),
      waiting: t.Union([t.String(), t.Null()], { description: "Why no worker takes them; null: one does." }),
    }),
  ),
});
const QueuesSchema = t.Object({ items: t.Array(QueueSchema) });

function describe(operationId: string, summary: string, meaning: string, ...problems: number[]) {
  return {
    operationId,
    summary: `${summary}; for admins`,
    tags: ["operations"],
    security: BEARER_SECURITY,
    responses: {
      "200": { description: meaning, content: { "application/json": { schema: QueuesSchema } } },
      ...problemResponses(401, 403, ...problems),
      // A TypeBox schema is a JSON Schema, which OpenAPI's types do not see.
    } as never,
  };
}

/** What waits where, and for what; admins pause queues and single tasks. */
export function queueRoutes({ accounts, pauses, staffing }: Deps) {
  const allowed = (request: Request): Promise<void> => requireAdmin(request, accounts, "the queues");
  const change = async (request: Request, verb: "pause" | "resume", kind: "queue" | "task", name: string) => {
    await allowed(request);
    await pauses[verb]({ kind, name });
    const touched = ({ queue, tasks }: QueueView): boolean =>
      kind === "queue" ? queue === name : tasks.some((task) => task.name === name);
    return { items: await Promise.all(pauses.queues().filter(touched).map(view)) };
  };
  const view = async ({ tasks, ...queue }: QueueView) => ({
    ...queue,
    tasks: await Promise.all(tasks.map(async (task) => ({ ...task, waiting: await waiting(task.name, queue.queue) }))),
  });
  const waiting = async (name: string, queue: string): Promise<string | null> =>
    pauses.why({ name, queue }) ?? (await staffing.whyUnserved({ name, queue })) ?? null;
  return new Elysia({ name: "artel/queues", normalize: false })
    .get(
      "/queues",
      async ({ request }) => {
        await allowed(request);
        return { items: await Promise.all(pauses.queues().map(view)) };
      },
      { detail: describe("listQueues", "The queues: what waits in them, and why", "All of them") },
    )
    .post("/queues/:name/pause", ({ request, params }) => change(request, "pause", "queue", params.name), {
      parse: "none",
      detail: describe("pauseQueue", "Take no more tasks from a queue; what runs goes on", "The queue", 404, 503),
    })
    .post("/queues/:name/resume", ({ request, params }) => change(request, "resume", "queue", params.name), {
      parse: "none",
      detail: describe("resumeQueue", "Take tasks from a queue again", "The queue", 404, 503),
    })
    .post("/tasks/definitions/:name/pause", ({ request, params }) => change(request, "pause", "task", params.name), {
      parse: "none",
      detail: describe("pauseTask", "Begin no more of a task, in any queue; what runs goes on", "Its queues", 404, 503),
    })
    .post("/tasks/definitions/:name/resume", ({ request, params }) => change(request, "resume", "task", params.name), {
      parse: "none",
      detail: describe("resumeTask", "Begin tasks of a name again", "Its queues", 404, 503),
    });
}
