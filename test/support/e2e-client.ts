/** A user of the service over the wire. */
import type { Notice } from "./notices.ts";

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
}

/** A task as GET /tasks and GET /tasks/{id} show it; lists leave args and result out. */
export interface Task extends Omit<Notice, "type" | "at"> {
  readonly args?: unknown;
  readonly queue: string;
  readonly max_attempts: number;
  readonly cancel_requested: boolean;
  readonly started_at: string | null;
  readonly finished_at: string | null;
}

export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
  readonly errors?: readonly { readonly path: string; readonly message: string }[];
}

const PASSWORD = "correct horse battery";
const PAGE = 200;
const BATCH = 1_000;

/** One request; the body is sent as JSON, text as it is. */
export async function call(
  method: string,
  url: string,
  { body, token, headers = {} }: { body?: unknown; token?: string; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const response = await fetch(url, {
    method,
    headers: {
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  const json = response.headers.get("content-type")?.includes("json") && text !== "";
  return { status: response.status, headers: response.headers, body: json ? JSON.parse(text) : text };
}

/** One account with a session; `url` may change when the server is started again. */
export class Client {
  url: string;
  readonly id: string;
  readonly email: string;
  token: string;

  private constructor(url: string, id: string, email: string, token: string) {
    this.url = url;
    this.id = id;
    this.email = email;
    this.token = token;
  }

  /** Registers and logs in. */
  static async register(url: string, name = "ada"): Promise<Client> {
    const credentials = { email: `${name}@example.com`, password: PASSWORD };
    const { id } = expectStatus(201, await call("POST", `${url}/auth/register`, { body: credentials })) as { id: string };
    const client = new Client(url, id, credentials.email, "");
    await client.login();
    return client;
  }

  /** Begins another session, as when the last token has ended. */
  async login(): Promise<void> {
    const body = { email: this.email, password: PASSWORD };
    const answer = expectStatus(200, await call("POST", `${this.url}/auth/login`, { body }));
    this.token = (answer as { access_token: string }).access_token;
  }

  call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    return call(method, `${this.url}${path}`, { body, token: this.token, headers });
  }

  /** Submits one task. @returns its id */
  async submit(name: string, input: unknown = {}, query = ""): Promise<string> {
    const answer = await this.call("POST", `/tasks/${name}${query}`, input);
    return (expectStatus(202, answer) as { task_id: string }).task_id;
  }

  /** Submits any number of tasks. @returns their ids, in order */
  async submitAll(name: string, inputs: readonly unknown[], query = ""): Promise<string[]> {
    const ids: string[] = [];
    for (let from = 0; from < inputs.length; from += BATCH) {
      const answer = await this.call("POST", `/tasks/${name}/batch${query}`, inputs.slice(from, from + BATCH));
      ids.push(...(expectStatus(202, answer) as { task_ids: string[] }).task_ids);
    }
    return ids;
  }

  async task(id: string): Promise<Task> {
    return expectStatus(200, await this.call("GET", `/tasks/${id}`)) as Task;
  }

  async cancel(id: string): Promise<Task> {
    return expectStatus(202, await this.call("POST", `/tasks/${id}/cancel`)) as Task;
  }

  /** All of the account's tasks, newest first, without args and results. */
  async tasks(): Promise<Task[]> {
    const all: Task[] = [];
    for (let cursor: string | null = ""; cursor !== null; ) {
      const at: string = cursor === "" ? "" : `&cursor=${cursor}`;
      const answer = await this.call("GET", `/tasks?limit=${PAGE}${at}`);
      const page = expectStatus(200, answer) as { items: Task[]; next_cursor: string | null };
      all.push(...page.items);
      cursor = page.next_cursor;
    }
    return all;
  }
}

/** The body of an answer that has this status; fails otherwise. */
export function expectStatus(status: number, answer: Answer): unknown {
  if (answer.status !== status) throw new Error(`status ${answer.status} in place of ${status}: ${JSON.stringify(answer.body)}`);
  return answer.body;
}
