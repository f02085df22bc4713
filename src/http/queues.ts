import { Type } from "@sinclair/typebox";
import { Elysia, t } from "elysia";
import type { Accounts } from "../services/accounts.ts";
import type { Pauses, QueueView } from "../services/pauses.ts";
import type { LimitState, Waiting, WaitingQueue } from "../services/waiting.ts";
import { requireAdmin } from "./bearer.ts";
import { describeForAdmins } from "./operation.ts";
import { Nullable, Time } from "./task-schemas.ts";
import { iso } from "./views.ts";

interface Deps {
  readonly accounts: Accounts;
  readonly pauses: Pauses;
  readonly waiting: Waiting;
}

const LimitsSchema = t.Object({
  concurrency: Nullable(Type.Integer({ description: "At most so many run at the same time; null: any number." })),
  per_user: Nullable(Type.Integer({ description: "At most so many of one user; null: any number." })),
  running: Nullable(
    Type.Integer({ description: "So many run now, of all queues; null: neither limit is set, and none is counted." }),
  ),
  users_at_limit: Type.Integer({ description: "Users who have as many running as one may." }),
  queued_of_those: Type.Integer({ description: "Tasks of such users that wait in this queue." }),
  next_start_at: t.Union([Time, t.Null()], { description: "When the rate lets the next one begin; null: it holds none back." }),
});
const QueueSchema = t.Object({
  queue: t.String(),
  paused: t.Boolean(),
  queued: Type.Integer({ description: "Tasks that wait for a worker, of all names and users." }),
  tasks: t.Array(
    t.Object({
      name: t.String(),
      paused: t.Boolean(),
      queued: Type.Integer({ description: "Tasks that wait for a worker, of all users." }),
      waiting: t.Union([t.String(), t.Null()], { description: "Why they wait; null: none does, or workers take them." }),
      limits: t.Union([LimitsSchema, t.Null()], {
        description: "How far it is at its limits; null: it has none, or nobody knows.",
      }),
    }),
  ),
});
const QueuesSchema = t.Object({ items: t.Array(QueueSchema) });

const OF_QUEUE = [200, "The queue", QueuesSchema] as const;
const OF_TASK = [200, "Its queues", QueuesSchema] as const;

/** What waits where, and for what; admins pause queues and single tasks. */
export function queueRoutes({ accounts, pauses, waiting }: Deps) {
  const allowed = (request: Request): Promise<void> => requireAdmin(request, accounts, "the queues");
  const answer = async (queues: readonly QueueView[]) => ({ items: (await waiting.explain(queues)).map(viewOf) });
  const change = async (request: Request, verb: "pause" | "resume", kind: "queue" | "task", name: string) => {
    await allowed(request);
    await pauses[verb]({ kind, name });
    const touched = ({ queue, tasks }: QueueView): boolean =>
      kind === "queue" ? queue === name : tasks.some((task) => task.name === name);
    return await answer(pauses.queues().filter(touched));
  };
  return new Elysia({ name: "artel/queues", normalize: false })
    .get(
      "/queues",
      async ({ request }) => {
        await allowed(request);
        return await answer(pauses.queues());
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

const viewOf = ({ tasks, ...queue }: WaitingQueue) => ({
  ...queue,
  tasks: tasks.map(({ waiting, limits, ...task }) => ({
    ...task,
    waiting: waiting ?? null,
    limits: limits ? limitsView(limits) : null,
  })),
});

const limitsView = (limits: LimitState) => ({
  concurrency: limits.concurrency ?? null,
  per_user: limits.perUser ?? null,
  running: limits.running ?? null,
  users_at_limit: limits.usersAtLimit,
  queued_of_those: limits.queuedOfThose,
  next_start_at: limits.nextStartAt === undefined ? null : iso(limits.nextStartAt),
});
