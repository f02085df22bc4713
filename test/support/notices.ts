import type { Status } from "../../src/domain/task.ts";

/** How long a test waits for what must come, in milliseconds: it only ends what hangs. */
const PATIENCE_MS = 20_000;

export interface Notice {
  readonly type: "task";
  readonly seq: number;
  readonly task_id: string;
  readonly owner_id: string;
  readonly name: string;
  readonly status: Status;
  readonly progress: number | null;
  readonly message: string | null;
  readonly attempt: number;
  readonly result: unknown;
  readonly truncated?: boolean;
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly at: string;
  readonly workflow_id?: string;
}

/** What a socket is told of a workflow. */
export interface WorkflowNotice {
  readonly type: "workflow";
  readonly seq: number;
  readonly workflow_id: string;
  readonly owner_id: string;
  readonly status: "in progress" | "done" | "failed" | "cancelled";
  readonly progress: number;
  readonly counts: Readonly<Record<Status, number>>;
  readonly at: string;
}

export type Message = Notice | { readonly type: Exclude<string, "task" | "workflow">; readonly [field: string]: unknown };

export interface Ready {
  readonly type: "ready";
  readonly user_id: string;
  readonly epoch: string;
  readonly seq: number;
}

const ENDED: readonly Status[] = ["done", "failed", "cancelled"];

export const workflowsOf = (messages: readonly Message[]): WorkflowNotice[] =>
  messages.filter((message) => (message.type as string) === "workflow") as unknown as WorkflowNotice[];

export const isNotice = (message: Message): message is Notice => message.type === "task";

interface Waiter {
  readonly look: () => boolean;
  readonly resolve: () => void;
}

/** A WebSocket that keeps all it gets. */
export class NoticeClient {
  readonly messages: Message[] = [];
  readonly socket: WebSocket;
  closed: { readonly code: number; readonly reason: string } | undefined;
  readonly #waiters = new Set<Waiter>();

  constructor(socket: WebSocket) {
    this.socket = socket;
    socket.onmessage = ({ data }) => {
      this.messages.push(JSON.parse(String(data)) as Message);
      this.#look();
    };
    socket.onclose = ({ code, reason }) => {
      this.closed = { code, reason };
      this.#look();
    };
  }

  /** The first message of all. */
  get ready(): Ready {
    return this.messages[0] as unknown as Ready;
  }

  get notices(): Notice[] {
    return this.messages.filter(isNotice);
  }

  get workflows(): WorkflowNotice[] {
    return workflowsOf(this.messages);
  }

  /** The last notice of a workflow. */
  async workflowEnded(id: string): Promise<WorkflowNotice> {
    const ended = () => this.workflows.find(({ workflow_id, status }) => workflow_id === id && status !== "in progress");
    await this.until(() => ended() !== undefined, `the end of the workflow ${id}`);
    return ended() as WorkflowNotice;
  }

  send(message: unknown): void {
    this.socket.send(typeof message === "string" ? message : JSON.stringify(message));
  }

  terminate(): void {
    this.socket.terminate();
  }

  /** Waits until `look` says yes; it is asked at each message and at the end. */
  async until(look: () => boolean, what: string): Promise<void> {
    if (look()) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter = { look, resolve };
    this.#waiters.add(waiter);
    const timer = setTimeout(() => reject(new Error(`${what} did not come; got ${this.#summary()}`)), PATIENCE_MS);
    await promise.finally(() => {
      clearTimeout(timer);
      this.#waiters.delete(waiter);
    });
  }

  /** The first message from index `from` on that fits. */
  async next(fits: (message: Message) => boolean, what: string, from = 0): Promise<Message> {
    let found: Message | undefined;
    let looked = from;
    await this.until(() => {
      for (; found === undefined && looked < this.messages.length; looked += 1) {
        const message = this.messages[looked];
        if (message !== undefined && fits(message)) found = message;
      }
      return found !== undefined || this.closed !== undefined;
    }, what);
    if (found === undefined) throw new Error(`${what} did not come before the close with ${this.closed?.code}`);
    return found;
  }

  /** The first message of a type. */
  type(type: string, from = 0): Promise<Message> {
    return this.next((message) => message.type === type, type, from);
  }

  /** Sends, and waits for the first message of a type that comes after. */
  async ask(message: unknown, type: string): Promise<Message> {
    const from = this.messages.length;
    this.send(message);
    return await this.type(type, from);
  }

  /** All that was sent before this is here once it resolves. */
  async settle(): Promise<void> {
    await this.ask("ping", "pong");
  }

  /** The notice of a task's end. */
  async ended(id: string): Promise<Notice> {
    return (await this.next(
      (message) => isNotice(message) && message.task_id === id && ENDED.includes(message.status),
      `the end of ${id}`,
    )) as Notice;
  }

  /** The first notice of a task with a status. */
  async status(id: string, status: Status): Promise<Notice> {
    return (await this.next(
      (message) => isNotice(message) && message.task_id === id && message.status === status,
      `${status} of ${id}`,
    )) as Notice;
  }

  async close(): Promise<{ readonly code: number; readonly reason: string }> {
    await this.until(() => this.closed !== undefined, "the close");
    return this.closed ?? { code: 0, reason: "" };
  }

  #look(): void {
    for (const waiter of this.#waiters) if (waiter.look()) waiter.resolve();
  }

  #summary(): string {
    return `${this.messages.length} messages, the last ${JSON.stringify(this.messages.slice(-3)).slice(0, 500)}${this.closed ? `, and a close with ${this.closed.code}` : ""}`;
  }
}

/** Opens a socket and waits for its first message. Rejects when the handshake is refused. */
export async function connect(
  url: string,
  { headers = {}, protocols = [] }: { headers?: Record<string, string>; protocols?: string[] } = {},
): Promise<NoticeClient> {
  const socket = new WebSocket(url, { headers, protocols } as unknown as string[]);
  const client = new NoticeClient(socket);
  await client.until(() => client.messages.length > 0 || client.closed !== undefined, "the first message");
  if (client.messages.length === 0)
    throw new Error(`the handshake was refused (${client.closed?.code} ${client.closed?.reason})`);
  return client;
}

/**
 * What the contract says of every socket: stored transitions in ascending seq, each once. A notice that repeats the
 * latest seq of its task is progress in between.
 *
 * @returns the transitions alone
 */
export function transitionsOf(notices: readonly Notice[]): Notice[] {
  const seen = new Map<string, number>();
  const transitions: Notice[] = [];
  let last = 0;
  for (const notice of notices) {
    if (seen.get(notice.task_id) === notice.seq) {
      if (notice.status !== "in progress") throw new Error(`seq ${notice.seq} came twice, as ${notice.status}`);
      continue;
    }
    if (notice.seq <= last) throw new Error(`seq ${notice.seq} came after ${last}`);
    last = notice.seq;
    seen.set(notice.task_id, notice.seq);
    transitions.push(notice);
  }
  return transitions;
}
