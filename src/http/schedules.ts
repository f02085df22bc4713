import { Elysia, t } from "elysia";
import type { Accounts } from "../services/accounts.ts";
import type { Schedules } from "../services/schedules.ts";
import { requireAdmin } from "./bearer.ts";
import { describeForAdmins } from "./operation.ts";
import { AcceptedSchema } from "./task-schemas.ts";
import { iso } from "./views.ts";

interface Deps {
  readonly accounts: Accounts;
  readonly schedules: Schedules;
}

const Time = t.Union([t.String({ format: "date-time" }), t.Null()]);
const ScheduleSchema = t.Object({
  task: t.String(),
  cron: t.String(),
  time_zone: t.String(),
  missed: t.Union([t.Literal("once"), t.Literal("skip")], {
    description: "What becomes of times that passed while no server ran: one run for all of them, or none.",
  }),
  input: t.Unknown(),
  paused: t.Boolean(),
  next_at: Time,
  last_at: Time,
  last_task_id: t.Union([t.String({ format: "uuid" }), t.Null()]),
});
const ListSchema = t.Object({ items: t.Array(ScheduleSchema) });

/** Tasks that run by themselves, for admins: /schedules. */
export function scheduleRoutes({ accounts, schedules }: Deps) {
  const allowed = (request: Request): Promise<void> => requireAdmin(request, accounts, "the schedules");
  const view = (name: string) => viewOf(schedules.list().filter(({ task }) => task === name))[0];
  return new Elysia({ name: "artel/schedules", prefix: "/schedules", normalize: false })
    .get(
      "",
      async ({ request }) => {
        await allowed(request);
        return { items: viewOf(schedules.list()) };
      },
      {
        detail: describeForAdmins("listSchedules", "The tasks that run by a schedule, with their next times", [
          200,
          "All of them",
          ListSchema,
        ]),
      },
    )
    .post(
      "/:name/pause",
      async ({ request, params }) => {
        await allowed(request);
        await schedules.pause(params.name);
        return view(params.name);
      },
      {
        parse: "none",
        detail: describeForAdmins(
          "pauseSchedule",
          "Stop running a task by its schedule",
          [200, "Paused", ScheduleSchema],
          [404, 503],
        ),
      },
    )
    .post(
      "/:name/resume",
      async ({ request, params }) => {
        await allowed(request);
        await schedules.resume(params.name);
        return view(params.name);
      },
      {
        parse: "none",
        detail: describeForAdmins(
          "resumeSchedule",
          "Run a task by its schedule again, from now on",
          [200, "Resumed", ScheduleSchema],
          [404, 503],
        ),
      },
    )
    .post(
      "/:name/run",
      async ({ request, params, set }) => {
        await allowed(request);
        const task = await schedules.run(params.name);
        set.status = 202;
        set.headers["location"] = `/tasks/${task.id}`;
        return { task_id: task.id, status: task.status };
      },
      {
        parse: "none",
        detail: describeForAdmins(
          "runSchedule",
          "Run a scheduled task now",
          [202, "Accepted and stored", AcceptedSchema],
          [404, 429, 503],
        ),
      },
    );
}

const viewOf = (schedules: ReturnType<Schedules["list"]>) =>
  schedules.map(({ task, cron, timeZone, missed, input, paused, nextAt, lastAt, lastTask }) => ({
    task,
    cron,
    time_zone: timeZone,
    missed,
    input,
    paused,
    next_at: nextAt === null ? null : iso(nextAt),
    last_at: lastAt === null ? null : iso(lastAt),
    last_task_id: lastTask,
  }));
