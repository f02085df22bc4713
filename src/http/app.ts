import { Elysia } from "elysia";
import type { WorkerView } from "../ports/broker.ts";
import type { Log } from "../ports/runtime.ts";
import type { Accounts } from "../services/accounts.ts";
import type { Pauses } from "../services/pauses.ts";
import type { Schedules } from "../services/schedules.ts";
import type { Tasks } from "../services/tasks.ts";
import type { Waiting } from "../services/waiting.ts";
import type { Workflows } from "../services/workflows.ts";
import type { Typed } from "./app-type.ts";
import { authRoutes } from "./auth.ts";
import type { ClientAddress } from "./client-address.ts";
import { docsRoutes } from "./docs.ts";
import { type Checks, healthRoutes } from "./health.ts";
import { type Notifications, notificationRoutes, SOCKET_LIMITS } from "./notifications.ts";
import { normalOrigins, type OriginCheck } from "./origins.ts";
import { methodsOf, problemHandler } from "./problem.ts";
import { queueRoutes } from "./queues.ts";
import { requestIds } from "./request-id.ts";
import { scheduleRoutes } from "./schedules.ts";
import { taskRoutes } from "./tasks.ts";
import { workerRoutes } from "./workers.ts";
import { workflowRoutes } from "./workflows.ts";

export interface AppDeps {
  readonly accounts: Accounts;
  readonly tasks: Tasks;
  readonly workflows: Workflows;
  readonly schedules: Schedules;
  readonly pauses: Pauses;
  readonly waiting: Waiting;
  readonly notifications: Notifications;
  /** The worker processes; throws Unavailable where the broker is away. */
  readonly workers: () => Promise<readonly WorkerView[]>;
  readonly clientAddress: ClientAddress;
  readonly originAllowed: OriginCheck;
  /** Origins of other sites whose pages may call the API. */
  readonly origins: readonly string[];
  readonly checks: () => Checks;
  readonly metrics: () => Promise<{ readonly text: string; readonly contentType: string }>;
  readonly version: string;
  /** Writes a line for every request. */
  readonly logRequests: boolean;
  readonly log: Log;
}

/** No body is kept before a route reads it, and each bounds what it reads; Bun's own limit would answer without a problem body. */
const BODY_UNBOUNDED = 2 ** 40;
/** What pages of other origins may send and read; a preflight is remembered for ten minutes. */
const CORS = {
  credentials: false,
  methods: ["GET", "POST"],
  allowedHeaders: ["authorization", "content-type", "idempotency-key", "x-request-id"],
  exposeHeaders: ["location", "retry-after", "www-authenticate"],
  maxAge: 600,
};

/** Every route but the docs page, which describes them. */
export function apiRoutes(deps: AppDeps) {
  return new Elysia({ name: "artel/api", normalize: false })
    .use(authRoutes(deps))
    .use(taskRoutes(deps))
    .use(workflowRoutes(deps))
    .use(notificationRoutes(deps.notifications, deps))
    .use(workerRoutes(deps))
    .use(scheduleRoutes(deps))
    .use(queueRoutes(deps))
    .use(healthRoutes(deps));
}

/** The whole HTTP side. */
export async function createApp(deps: AppDeps) {
  const { log } = deps;
  const ids = requestIds();
  const app = new Elysia({ normalize: false, websocket: SOCKET_LIMITS, serve: { maxRequestBodySize: BODY_UNBOUNDED } });
  if (deps.origins.length > 0) {
    const { cors } = await import("@elysiajs/cors");
    app.use(cors({ ...CORS, origin: deps.origins.includes("*") ? true : normalOrigins(deps.origins) }));
  }
  if (deps.logRequests) {
    app.onAfterResponse(({ request, path, set, responseValue }) =>
      log.debug("request", {
        request_id: ids.of(request),
        method: request.method,
        path,
        status: statusOf(responseValue, set.status),
      }),
    );
  }
  app.onError(problemHandler({ log, requestId: ids.of, methodsAt: (path) => methodsAt(app, path) }));
  return app
    .use(apiRoutes(deps))
    .use(docsRoutes({ version: deps.version, describe: () => apiRoutes(deps), definitions: () => deps.tasks.definitions() }));
}

/**
 * For `treaty<App>(url, { parseDate: false })` of `@elysiajs/eden`: bodies, queries and answers with their types, errors as
 * problem documents. Without `parseDate: false` eden makes dates of what is typed as text.
 */
export type App = Typed<Awaited<ReturnType<typeof createApp>>>;

/** Preflights are answered everywhere, so OPTIONS makes no address exist; with and without a slash at the end it is the same. */
function methodsAt(app: Parameters<typeof methodsOf>[0], path: string): string[] {
  return methodsOf(app)(path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path).filter(
    (method) => method !== "OPTIONS",
  );
}

/** A handler that answered with nothing, and set no status, has upgraded the connection. */
function statusOf(answer: unknown, set: number | string = 200): number | string {
  if (answer instanceof Response) return answer.status;
  return answer === undefined && set === 200 ? 101 : set;
}
