import { ApiError, type Call, call } from "./http.ts";
import type { Session } from "./session.ts";
import type { AccountView, Definition, LogLineView, TaskPage, TaskView, Tokens } from "./shapes.ts";

export interface Submission {
  /** As `10s`. */
  readonly delay?: string | undefined;
  readonly priority?: string | undefined;
  readonly idempotencyKey?: string | undefined;
}

export interface ListQuery {
  readonly status?: string | undefined;
  readonly name?: string | undefined;
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
  /** Of admins: another account's id, or `all`. */
  readonly owner?: string | undefined;
}

/** @throws ApiError `email_taken`, `weak_password`, `invalid_email`, `rate_limited`; Unreachable */
export const register = async (server: string, email: string, password: string): Promise<AccountView> =>
  (await call(server, "/auth/register", { method: "POST", body: { email, password } })) as AccountView;

/** @throws ApiError `invalid_credentials`, `rate_limited`; Unreachable */
export const login = async (server: string, email: string, password: string): Promise<Tokens> =>
  (await call(server, "/auth/login", { method: "POST", body: { email, password } })) as Tokens;

/** The API for one user at one server. Everything throws ApiError, Unreachable and NoSession. */
export class Api {
  readonly server: string;
  readonly session: Session;

  /** @param server as `http://HOST:PORT` */
  constructor(server: string, session: Session) {
    this.server = server;
    this.session = session;
  }

  async me(): Promise<AccountView> {
    return (await this.#call("/auth/me")) as AccountView;
  }

  async definitions(): Promise<readonly Definition[]> {
    return (await this.#call("/tasks/definitions")) as readonly Definition[];
  }

  async submit(name: string, input: unknown, { delay, priority, idempotencyKey }: Submission = {}): Promise<SubmittedTask> {
    const headers = idempotencyKey === undefined ? {} : { "idempotency-key": idempotencyKey };
    const path = `/tasks/${encodeURIComponent(name)}${queryOf({ delay, priority })}`;
    return (await this.#call(path, { method: "POST", body: input, headers })) as SubmittedTask;
  }

  async list(query: ListQuery = {}): Promise<TaskPage> {
    return (await this.#call(`/tasks${queryOf({ ...query })}`)) as TaskPage;
  }

  async task(id: string): Promise<TaskView> {
    return (await this.#call(pathOf(id))) as TaskView;
  }

  async logs(id: string): Promise<readonly LogLineView[]> {
    return ((await this.#call(`${pathOf(id)}/logs`)) as { items: readonly LogLineView[] }).items;
  }

  async cancel(id: string): Promise<TaskView> {
    return (await this.#call(`${pathOf(id)}/cancel`, { method: "POST" })) as TaskView;
  }

  async retry(id: string): Promise<TaskView> {
    return (await this.#call(`${pathOf(id)}/retry`, { method: "POST" })) as TaskView;
  }

  /** A token that has just ended, or was revoked by a change elsewhere, is renewed once. */
  async #call(path: string, request: Call = {}): Promise<unknown> {
    const token = await this.session.token();
    try {
      return await call(this.server, path, { ...request, token });
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 401)) throw error;
      return await call(this.server, path, { ...request, token: await this.session.token(token) });
    }
  }
}

export interface SubmittedTask {
  readonly task_id: string;
  readonly status: string;
}

const pathOf = (id: string): string => `/tasks/${encodeURIComponent(id)}`;

function queryOf(values: Readonly<Record<string, string | number | undefined>>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) if (value !== undefined) query.set(name, String(value));
  return query.size === 0 ? "" : `?${query}`;
}
