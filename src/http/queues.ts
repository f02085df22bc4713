import { Elysia, t } from "elysia";
import type { Accounts } from "../services/accounts.ts";
import type { Pauses, QueueView } from "../services/pauses.ts";
import type { Staffing } from "../services/staffing.ts";
import { requireAdmin } from "./bearer.ts";
import { describeForAdmins } from "./operation.ts";

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

const OF_QUEUE = [200, "The queue", QueuesSchema] as const;
const OF_TASK = [200, "Its queues", QueuesSchema] as const;

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
      { detail: describeForAdmins("listQueues", "The queues: what waits in them, and why", [200, "All of them", QueuesSchema]) },
    )
    .post("/queues/:name/pause", ({ request, params }) => change(request, "pause", "queue", params.name), {
      parse: "none",
      detail: describeForAdmins("pauseQueue", "Take no more tasks from a queue; what runs goes on", OF_QUEUE, [404, 503]),
    })
    .post("/queues/:name/resume", ({ request, params }) => change(request, "resume", "queue", params.name), {
      parse: "none",
      detail: describeForAdmins("resumeQueue", "Take tasks from a queue again", OF_QUEUE, [404, 503]),
    })
    .post("/tasks/definitions/:name/pause", ({ request, params }) => change(request, "pause", "task", params.name), {
      parse: "none",
      detail: describeForAdmins("pauseTask", "Begin no more of a task, in any queue; what runs goes on", OF_TASK, [404, 503]),
    })
    .post("/tasks/definitions/:name/resume", ({ request, params }) => change(request, "resume", "task", params.name), {
      parse: "none",
      detail: describeForAdmins("resumeTask", "Begin tasks of a name again", OF_TASK, [404, 503]),
    });
}
