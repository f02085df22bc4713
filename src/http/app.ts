import { Elysia } from "elysia";
import type { Log } from "../ports/runtime.ts";
import type { Accounts } from "../services/accounts.ts";
import type { Tasks } from "../services/tasks.ts";
import { authRoutes } from "./auth.ts";
import type { ClientAddress } from "./client-address.ts";
import { docsRoutes } from "./docs.ts";
import { type Checks, healthRoutes } from "./health.ts";
import { type Notifications, notificationRoutes, SOCKET_LIMITS } from "./notifications.ts";
import type { OriginCheck } from "./origins.ts";
import { methodsOf, problemHandler } from "./problem.ts";
import { requestIds } from "./request-id.ts";
import { taskRoutes } from "./tasks.ts";

export interface AppDeps {
  readonly accounts: Accounts;
  readonly tasks: Tasks;
  readonly notifications: Notifications;
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

/** Every route but the docs page, which describes them. */
export function apiRoutes(deps: AppDeps) {
  return new Elysia({ name: "artel/api", normalize: false })
    .use(authRoutes(deps))
    .use(taskRoutes(deps))
    .use(notificationRoutes(deps.notifications, deps))
    .use(healthRoutes(deps));
}

/** The whole HTTP side; `@elysiajs/eden` works against its type. */
export async function createApp(deps: AppDeps) {
  const { log } = deps;
  const ids = requestIds();
  const app = new Elysia({ normalize: false, websocket: SOCKET_LIMITS, serve: { maxRequestBodySize: 8 * 1024 * 1024 } });
  if (deps.origins.length > 0) {
    const { cors } = await import("@elysiajs/cors");
    app.use(cors({ origin: deps.origins.includes("*") ? true : [...deps.origins], credentials: false, exposeHeaders: ["location", "retry-after", "x-request-id"] }));
  }
  if (deps.logRequests) {
    app.onAfterResponse(({ request, path, set }) => log.debug("request", { request_id: ids.of(request), method: request.method, path, status: set.status ?? 200 }));
  }
  app.onError(problemHandler({ log, requestId: ids.of, methodsAt: (path) => methodsOf(app)(path) }));
  return app.use(apiRoutes(deps)).use(docsRoutes({ version: deps.version, describe: () => apiRoutes(deps), definitions: () => deps.tasks.definitions() }));
}

export type App = Awaited<ReturnType<typeof createApp>>;
