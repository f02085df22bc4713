/** What the API answers, as far as its clients here read it. */
export const ENDED = ["done", "failed", "cancelled"] as const;

/** A task, as `GET /tasks/{id}` answers it; lists leave `args` and `result` out. */
export interface TaskView {
  readonly task_id: string;
  readonly owner_id: string;
  readonly name: string;
  readonly queue: string;
  readonly status: string;
  readonly args?: unknown;
  /** 0 to 1. */
  readonly progress: number | null;
  readonly message: string | null;
  readonly result?: unknown;
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly attempt: number;
  readonly max_attempts: number;
  readonly cancel_requested: boolean;
  readonly created_at: string;
  /** Null: once what it waits for is done. */
  readonly run_at: string | null;
  readonly started_at: string | null;
  readonly finished_at: string | null;
  readonly seq: number;
  /** Why it is queued for longer than its turn. */
  readonly waiting?: string;
}

/** What a socket tells of a task. */
export interface Notice {
  readonly seq: number;
  readonly task_id: string;
  readonly owner_id: string;
  readonly name: string;
  readonly status: string;
  readonly progress: number | null;
  readonly message: string | null;
  readonly attempt: number;
  readonly result: unknown;
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly at: string;
  /** The result is too long for a notice. */
  readonly truncated?: boolean;
}

export interface TaskPage {
  readonly items: readonly TaskView[];
  readonly next_cursor: string | null;
}

export interface Definition {
  readonly name: string;
  readonly description: string;
  readonly queue: string;
  /** JSON Schema. */
  readonly input: Readonly<Record<string, unknown>>;
  /** JSON Schema; undefined: the task does not say. */
  readonly output?: Readonly<Record<string, unknown>>;
  readonly timeout_ms: number;
  readonly max_attempts: number;
}

export interface LogLineView {
  readonly at: string;
  readonly level: string;
  readonly message: string;
}

export interface AccountView {
  readonly id: string;
  readonly email: string;
  readonly role: string;
  readonly created_at: string;
}

export interface Tokens {
  readonly access_token: string;
  /** Seconds. */
  readonly expires_in: number;
  readonly refresh_token: string;
}

export const hasEnded = ({ status }: Pick<TaskView, "status">): boolean => (ENDED as readonly string[]).includes(status);
