import { Type } from "@sinclair/typebox";
import { Elysia, t } from "elysia";
import type { WorkerView } from "../ports/broker.ts";
import type { Accounts } from "../services/accounts.ts";
import { requireAdmin } from "./bearer.ts";
import { describeForAdmins } from "./operation.ts";
import { iso } from "./views.ts";

interface Deps {
  readonly accounts: Accounts;
  /** Throws Unavailable where the broker is away. */
  readonly workers: () => Promise<readonly WorkerView[]>;
}

const Time = t.String({ format: "date-time" });
const WorkersSchema = t.Object({
  items: t.Array(
    t.Object({
      id: t.String(),
      host: t.String(),
      pid: Type.Integer(),
      version: t.String(),
      threads: Type.Integer(),
      slots: Type.Integer({ description: "Tasks that each thread runs at the same time." }),
      running: Type.Integer({ description: "Tasks in its hands now." }),
      queues: t.Union([t.Array(t.String()), t.Null()], { description: "The queues that it serves; null: all." }),
      tasks: t.Array(t.String()),
      started_at: Time,
      seen_at: Time,
    }),
  ),
});

/** The worker processes, for admins: /workers. */
export function workerRoutes({ accounts, workers }: Deps) {
  return new Elysia({ name: "artel/workers", normalize: false }).get(
    "/workers",
    async ({ request }) => {
      await requireAdmin(request, accounts, "the workers");
      return { items: (await workers()).map(workerView) };
    },
    {
      detail: describeForAdmins(
        "listWorkers",
        "The worker processes, with their load",
        [200, "Those that have been heard of lately", WorkersSchema],
        [503],
      ),
    },
  );
}

const workerView = ({ startedAt, seenAt, queues, id, host, pid, version, threads, slots, running, tasks }: WorkerView) => ({
  id,
  host,
  pid,
  version,
  threads,
  slots,
  running,
  queues: queues ?? null,
  tasks,
  started_at: iso(startedAt),
  seen_at: iso(seenAt),
});
