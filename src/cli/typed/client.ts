/** The client that `artel types` prints. It imports nothing, and runs in browsers, Bun, Node 22 and Deno. */

const SERVER = "http://127.0.0.1:12000";

export interface Tasks {
  [name: string]: { input: unknown; output: unknown };
}

// ---- what follows is the same for all servers ----

export type TaskName = keyof Tasks & string;
export type Input<Name extends TaskName> = Tasks[Name]["input"];
export type Output<Name extends TaskName> = Tasks[Name]["output"];
export type Status = "scheduled" | "queued" | "in progress" | "retrying" | "done" | "failed" | "cancelled";

/** A task's id, which knows the types of its task; one that was kept as a text does as well. */
export type TaskId<Name extends TaskName = TaskName> = string & { readonly "~task"?: Name };
type AnyId<Name extends TaskName> = TaskId<Name> | (string & { readonly "~task"?: never });

/** A task, as lists show it. Times are RFC 3339. */
export interface TaskSummary<Name extends TaskName = TaskName> {
  task_id: TaskId<Name>;
  owner_id: string;
  name: Name;
  queue: string;
  priority: "low" | "normal" | "high";
  status: Status;
  /** 0 to 1. */
  progress: number | null;
  message: string | null;
  error: { code: string; message: string } | null;
  /** From 1. */
  attempt: number;
  max_attempts: number;
  cancel_requested: boolean;
  created_at: string;
  /** Null: once what it waits for in its workflow is done. */
  run_at: string | null;
  started_at: string | null;
  finished_at: string | null;
  seq: number;
  /** Of a member of a workflow, and of no other task. */
  workflow_id?: string;
}

export interface Task<Name extends TaskName = TaskName> extends TaskSummary<Name> {
  args: Input<Name>;
  /** Null unless it is done. */
  result: Output<Name> | null;
  /** Of a queued one: why it waits for longer than its turn. */
  waiting?: string;
}

/** What is told of a task while it is watched. */
export type Update<Name extends TaskName = TaskName> = Pick<
  TaskSummary<Name>,
  "task_id" | "name" | "status" | "progress" | "message" | "error" | "attempt" | "seq" | "workflow_id"
>;

export interface SubmitOptions {
  /** Run it no sooner than after this long, such as "30s" or "5m". */
  delay?: string;
  priority?: "low" | "normal" | "high";
  /** Repeats with the same key and input get the first one's task. */
  idempotencyKey?: string;
}

export interface ListQuery<Name extends TaskName = TaskName> {
  status?: Status;
  name?: Name;
  /** 1 to 200, 50 by default. */
  limit?: number;
  /** `next_cursor` of the page before. */
  cursor?: string;
  /** Admins: another account's id, or "all". */
  owner?: string;
}

export interface WatchOptions {
  /** Ends the watching, not the task. */
  signal?: AbortSignal;
}

export interface ClientOptions {
  /** Where it is now; by default where it was when this file was written. */
  server?: string;
  /** An access token, or what gives one for each call; by default that of `login`. */
  token?: string | (() => string | Promise<string>);
}

/** What the server refused: its problem document. `code` is a stable word. */
export class ArtelError extends Error {
  override readonly name = "ArtelError";
  readonly status: number;
  readonly code: string;
  /** Where an input is wrong; `path` is a JSON Pointer. */
  readonly errors: readonly { readonly path: string; readonly message: string }[];

  constructor(status: number, problem: { code?: string; detail?: string; errors?: ArtelError["errors"] }) {
    super(problem.detail ?? `HTTP ${status}`);
    this.status = status;
    this.code = problem.code ?? "not_artel";
    this.errors = problem.errors ?? [];
  }
}

/** A task failed or was cancelled. `code` is the task's. */
export class TaskFailed extends Error {
  override readonly name = "TaskFailed";
  readonly code: string;
  readonly task: Task;

  constructor(task: Task) {
    super(task.error?.message ?? `the task ${task.name} was ${task.status}`);
    this.code = task.error?.code ?? task.status;
    this.task = task;
  }
}

interface Session {
  access_token: string;
  refresh_token: string;
}

interface Request {
  method?: "GET" | "POST";
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
}

/** The tasks of one server, for one user. Every call throws ArtelError where the server refuses it. */
export class Artel {
  readonly #server: string;
  readonly #given: ClientOptions["token"];
  readonly #notices: Notices;
  #session: Session | undefined;
  #renewing: Promise<void> | undefined;

  constructor({ server = SERVER, token }: ClientOptions = {}) {
    this.#server = server.replace(/\/+$/, "");
    this.#given = token;
    this.#notices = new Notices(async () => {
      const { ticket } = (await this.#call("/auth/ws-ticket", { method: "POST" })) as { ticket: string };
      return `${this.#server.replace(/^http/, "ws")}/ws/notifications?ticket=${encodeURIComponent(ticket)}`;
    });
  }

  async register(email: string, password: string): Promise<{ id: string; email: string; role: string; created_at: string }> {
    const body = { email, password };
    return (await this.#send("/auth/register", { method: "POST", body })) as {
      id: string;
      email: string;
      role: string;
      created_at: string;
    };
  }

  /** From now on calls are this user's; the session is renewed by itself. */
  async login(email: string, password: string): Promise<void> {
    this.#session = (await this.#send("/auth/login", { method: "POST", body: { email, password } })) as Session;
  }

  async logout(): Promise<void> {
    await this.#call("/auth/logout", { method: "POST" });
    this.#session = undefined;
  }

  /** Submits a task. */
  async submit<Name extends TaskName>(
    name: Name,
    input: Input<Name>,
    { idempotencyKey, ...query }: SubmitOptions = {},
  ): Promise<{ task_id: TaskId<Name>; status: Status }> {
    const headers: Record<string, string> = idempotencyKey === undefined ? {} : { "idempotency-key": idempotencyKey };
    const path = `/tasks/${encodeURIComponent(name)}${queryOf({ ...query })}`;
    return (await this.#call(path, { method: "POST", body: input, headers })) as { task_id: TaskId<Name>; status: Status };
  }

  /** Submits up to 1,000 of one task: all of them or none. */
  async batch<Name extends TaskName>(
    name: Name,
    inputs: readonly Input<Name>[],
    options: Omit<SubmitOptions, "idempotencyKey"> = {},
  ): Promise<TaskId<Name>[]> {
    const path = `/tasks/${encodeURIComponent(name)}/batch${queryOf({ ...options })}`;
    return ((await this.#call(path, { method: "POST", body: inputs })) as { task_ids: TaskId<Name>[] }).task_ids;
  }

  /** Submits a task and waits for its result. @throws TaskFailed where it has none */
  async run<Name extends TaskName>(
    name: Name,
    input: Input<Name>,
    { onUpdate, signal, ...options }: SubmitOptions & WatchOptions & { onUpdate?: (update: Update<Name>) => void } = {},
  ): Promise<Output<Name>> {
    const { task_id } = await this.submit(name, input, options);
    const task = await this.wait<Name>(task_id, { ...(onUpdate && { onUpdate }), ...(signal && { signal }) });
    if (task.status !== "done") throw new TaskFailed(task as unknown as Task);
    return task.result as Output<Name>;
  }

  async get<Name extends TaskName = TaskName>(id: AnyId<Name>): Promise<Task<Name>> {
    return (await this.#call(pathOf(id))) as Task<Name>;
  }

  /** Newest first. */
  async list<Name extends TaskName = TaskName>(
    query: ListQuery<Name> = {},
  ): Promise<{ items: TaskSummary<Name>[]; next_cursor: string | null }> {
    return (await this.#call(`/tasks${queryOf({ ...query })}`)) as { items: TaskSummary<Name>[]; next_cursor: string | null };
  }

  async logs(id: string): Promise<{ at: string; level: "debug" | "info" | "warn" | "error"; message: string }[]> {
    const { items } = (await this.#call(`${pathOf(id)}/logs`)) as { items: Awaited<ReturnType<Artel["logs"]>> };
    return items;
  }

  /** @throws ArtelError `task_ended` */
  async cancel<Name extends TaskName = TaskName>(id: AnyId<Name>): Promise<Task<Name>> {
    return (await this.#call(`${pathOf(id)}/cancel`, { method: "POST" })) as Task<Name>;
  }

  /** Runs one that failed or was cancelled once more. @throws ArtelError `task_not_ended` */
  async retry<Name extends TaskName = TaskName>(id: AnyId<Name>): Promise<Task<Name>> {
    return (await this.#call(`${pathOf(id)}/retry`, { method: "POST" })) as Task<Name>;
  }

  /** Waits until a task has ended, however that is. */
  async wait<Name extends TaskName = TaskName>(
    id: AnyId<Name>,
    { onUpdate, ...options }: WatchOptions & { onUpdate?: (update: Update<Name>) => void } = {},
  ): Promise<Task<Name>> {
    const updates = this.watch<Name>(id, options);
    for (;;) {
      const next = await updates.next();
      if (next.done) return next.value;
      onUpdate?.(next.value);
    }
  }

  /**
   * What happens to a task, as it happens, up to its end; what comes while the connection is lost is made up for by the latest
   * state. Returns the task as it ended.
   */
  async *watch<Name extends TaskName = TaskName>(
    id: AnyId<Name>,
    { signal }: WatchOptions = {},
  ): AsyncGenerator<Update<Name>, Task<Name>, void> {
    const follower = this.#notices.follow(id);
    try {
      let told = "";
      for (;;) {
        const task = (await this.#call(pathOf(id), { signal })) as Task<Name>;
        if (keyOf(task) !== told) yield task;
        told = keyOf(task);
        if (hasEnded(task)) return task;
        for (let update = await follower.next(signal); update && !hasEnded(update); update = await follower.next(signal)) {
          told = keyOf(update);
          yield update as Update<Name>;
        }
      }
    } finally {
      follower.stop();
    }
  }

  async #call(path: string, request: Request = {}): Promise<unknown> {
    const token = typeof this.#given === "function" ? await this.#given() : (this.#given ?? this.#session?.access_token);
    try {
      return await this.#send(path, request, token);
    } catch (error) {
      const isOver = error instanceof ArtelError && error.status === 401 && this.#given === undefined;
      if (!isOver || this.#session === undefined) throw error;
      if (this.#session.access_token === token) await this.#renew(this.#session.refresh_token);
      return await this.#send(path, request, this.#session?.access_token);
    }
  }

  /** A refresh token is good once, so calls that need a new session share one. */
  async #renew(refresh_token: string): Promise<void> {
    this.#renewing ??= this.#send("/auth/refresh", { method: "POST", body: { refresh_token } })
      .then((session) => {
        this.#session = session as Session;
      })
      .finally(() => {
        this.#renewing = undefined;
      });
    await this.#renewing;
  }

  async #send(path: string, { method = "GET", body, headers, signal }: Request, token?: string): Promise<unknown> {
    const answer = await fetch(`${this.#server}${path}`, {
      method,
      headers: {
        ...headers,
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(body !== undefined && { "content-type": "application/json" }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      ...(signal && { signal }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new ArtelError(answer.status, parsed(text) ?? {});
    return text === "" ? undefined : parsed(text);
  }
}

const pathOf = (id: string): string => `/tasks/${encodeURIComponent(id)}`;
const hasEnded = ({ status }: Pick<Update, "status">): boolean => ["done", "failed", "cancelled"].includes(status);
const keyOf = ({ seq, progress, message }: Pick<Update, "seq" | "progress" | "message">): string =>
  JSON.stringify([seq, progress, message]);

function queryOf(values: Record<string, string | number | undefined>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) if (value !== undefined) query.set(name, String(value));
  const text = query.toString();
  return text === "" ? "" : `?${text}`;
}

// biome-ignore lint/suspicious/noExplicitAny: whoever asks knows what the server says
function parsed(text: string): any {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** After a connection that could not be had, in milliseconds; it doubles up to the second. */
const RETRY_MS = 250;
const RETRY_MAX_MS = 5_000;

/** One socket for all tasks that are watched, open while there are such. */
class Notices {
  readonly #address: () => Promise<string>;
  readonly #followers = new Set<Follower>();
  #socket: WebSocket | undefined;
  #opening = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #retryMs = RETRY_MS;

  constructor(address: () => Promise<string>) {
    this.#address = address;
  }

  follow(id: string): Follower {
    const follower = new Follower(id, () => {
      this.#followers.delete(follower);
      if (this.#followers.size === 0) this.#close();
    });
    this.#followers.add(follower);
    if (this.#socket === undefined && this.#timer === undefined) void this.#open();
    return follower;
  }

  async #open(): Promise<void> {
    this.#timer = undefined;
    if (this.#opening) return;
    this.#opening = true;
    try {
      const address = await this.#address();
      if (this.#followers.size > 0) this.#listen(new WebSocket(address));
    } catch {
      // Who follows asks for the state now, and hears what is wrong.
      this.#lost();
    } finally {
      this.#opening = false;
    }
  }

  #listen(socket: WebSocket): void {
    this.#socket = socket;
    socket.onmessage = ({ data }: { data: unknown }) => {
      const notice = parsed(String(data)) as { type: string } & Update;
      if (notice.type === "task") for (const each of this.#followers) each.hear(notice);
      // What happened before is not told here.
      if (notice.type === "ready") {
        this.#retryMs = RETRY_MS;
        for (const each of this.#followers) each.hear(undefined);
      }
    };
    socket.onclose = () => {
      if (socket === this.#socket) this.#lost();
    };
  }

  #lost(): void {
    this.#socket = undefined;
    if (this.#followers.size === 0) return;
    this.#timer = setTimeout(() => void this.#open(), this.#retryMs);
    this.#retryMs = Math.min(RETRY_MAX_MS, this.#retryMs * 2);
    for (const each of this.#followers) each.hear(undefined);
  }

  #close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.close();
  }
}

/** What has been told of one task and not yet been asked for. */
class Follower {
  readonly #id: string;
  readonly stop: () => void;
  #heard: (Update | undefined)[] = [];
  #wake: (() => void) | undefined;

  constructor(id: string, stop: () => void) {
    this.#id = id;
    this.stop = stop;
  }

  hear(update: Update | undefined): void {
    if (update !== undefined && update.task_id !== this.#id) return;
    this.#heard.push(update);
    this.#wake?.();
  }

  /** @returns undefined: something may have happened that was not told. Rejects with the signal's reason. */
  async next(signal: AbortSignal | undefined): Promise<Update | undefined> {
    signal?.throwIfAborted();
    if (this.#heard.length === 0) {
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          // One signal may stand for many watches and outlive them all.
          signal?.removeEventListener("abort", wake);
          resolve();
        };
        this.#wake = wake;
        signal?.addEventListener("abort", wake);
      });
      signal?.throwIfAborted();
    }
    return this.#heard.shift();
  }
}
