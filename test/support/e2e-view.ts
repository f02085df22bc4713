import type { Client, Task } from "./e2e-client.ts";
import { isNotice, type Message, type Notice, type Ready, type WorkflowNotice, workflowsOf } from "./notices.ts";
import { within } from "./waiting.ts";

const ENDED = new Set(["done", "failed", "cancelled"]);

/**
 * What one client keeps of its tasks from its socket alone, as the contract tells it to: it comes back with `since` and
 * `epoch` whenever the connection breaks. Whatever goes against the contract is noted in `faults`.
 */
export class View {
  /** The latest notice of each task. */
  readonly tasks = new Map<string, Notice>();
  /** The latest notice of each workflow. */
  readonly workflows = new Map<string, WorkflowNotice>();
  /** How often each task was seen to end. */
  readonly ends = new Map<string, number>();
  readonly faults: string[] = [];
  /** Stored transitions heard of. */
  transitions = 0;
  reconnects = 0;
  /** Why the last connection ended. */
  closed: { readonly code: number; readonly reason: string } | undefined;
  readonly #client: Client;
  #socket: WebSocket | undefined;
  #epoch: string | undefined;
  #seq = 0;
  #catchingUp = false;
  readonly #looks = new Set<() => void>();
  /** How often each task may yet begin another life. */
  readonly #revivals = new Map<string, number>();

  constructor(client: Client) {
    this.#client = client;
  }

  static async open(client: Client): Promise<View> {
    const view = new View(client);
    await view.connect();
    return view;
  }

  get connected(): boolean {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** Connects (again), from what it has seen on. */
  async connect(): Promise<void> {
    const { url, token } = this.#client;
    const since = this.#epoch === undefined ? "" : `?since=${this.#seq}&epoch=${this.#epoch}`;
    const socket = new WebSocket(`${url.replace("http", "ws")}/ws/notifications${since}`, {
      headers: { authorization: `Bearer ${token}` },
    } as unknown as string[]);
    const { promise: ready, resolve, reject } = Promise.withResolvers<void>();
    this.closed = undefined;
    this.#catchingUp = this.#epoch !== undefined;
    this.#socket = socket;
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(String(data)) as Message;
      if (message.type === "ready") {
        this.#started(message as unknown as Ready);
        resolve();
      } else this.#take(message);
      for (const look of this.#looks) look();
    };
    socket.onclose = ({ code, reason }) => {
      if (this.#socket !== socket) return;
      this.closed = { code, reason };
      reject(new Error(`the socket closed with ${code} ${reason}`));
      for (const look of this.#looks) look();
    };
    await within(ready, "the socket's first message");
  }

  /** Waits until `look` says yes; it is asked after each message. Comes back where the server has cut a slow reader off. */
  async until(look: () => boolean, what: string, limitMs?: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const ask = (): void => {
      if (look()) resolve();
      else if (this.closed) this.#comeBack(reject);
    };
    this.#looks.add(ask);
    ask();
    const seen = (): string =>
      `(${this.tasks.size} tasks, ${this.ends.size} ended, last seq ${this.#seq}, faults ${this.faults.length})`;
    await within(promise, what, seen, limitMs).finally(() => this.#looks.delete(ask));
  }

  async ended(ids: readonly string[], limitMs?: number): Promise<void> {
    let next = 0;
    const all = (): boolean => {
      for (let id = ids[next]; id !== undefined && this.hasEnded(id); id = ids[next]) next += 1;
      return next === ids.length;
    };
    await this.until(all, `the end of ${ids.length} tasks`, limitMs);
  }

  /** Waits until these workflows have ended. */
  async workflowsEnded(ids: readonly string[], limitMs?: number): Promise<void> {
    const all = (): boolean => ids.every((id) => (this.workflows.get(id)?.status ?? "in progress") !== "in progress");
    await this.until(all, `the end of ${ids.length} workflows`, limitMs);
  }

  /** Waits until a task has this status. */
  async status(id: string, status: string): Promise<Notice> {
    await this.until(() => this.tasks.get(id)?.status === status, `"${status}" of ${id}`);
    return this.tasks.get(id) as Notice;
  }

  hasEnded(id: string): boolean {
    return ENDED.has(this.tasks.get(id)?.status ?? "");
  }

  /** Its owner is about to retry it: once, it may go on after an end. */
  mayLiveAgain(id: string): void {
    this.#revivals.set(id, (this.#revivals.get(id) ?? 0) + 1);
  }

  /** How a task that was listed or fetched differs from what the socket told; undefined: not at all. */
  difference(task: Task): string | undefined {
    const notice = this.tasks.get(task.task_id);
    if (!notice) return `nothing was heard of ${task.task_id}, which is ${task.status}`;
    for (const field of ["seq", "owner_id", "name", "status", "attempt", "error", "message", "progress", "result"] as const) {
      if (field in task && !Bun.deepEquals(task[field], notice[field])) {
        return `${field} of ${task.task_id} (${task.name}) is ${JSON.stringify(task[field])}, heard ${JSON.stringify(notice[field])}`;
      }
    }
    return undefined;
  }

  close(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.terminate();
  }

  #comeBack(failed: (error: unknown) => void): void {
    this.reconnects += 1;
    this.connect().catch(failed);
  }

  #started({ user_id, epoch, seq }: Ready): void {
    if (user_id !== this.#client.id) this.faults.push(`the socket is ${user_id}'s`);
    if (this.#epoch !== undefined && this.#epoch !== epoch) this.faults.push("another epoch");
    if (this.#epoch === undefined) this.#seq = seq;
    this.#epoch = epoch;
  }

  #take(message: Message): void {
    if (isNotice(message)) return this.#notice(message);
    for (const workflow of workflowsOf([message])) return this.#workflow(workflow);
    if (message.type === "caught_up") this.#catchingUp = false;
    else this.faults.push(`an unexpected ${message.type}`);
  }

  #notice(notice: Notice): void {
    const before = this.tasks.get(notice.task_id);
    if (notice.owner_id !== this.#client.id) this.faults.push(`a notice of ${notice.owner_id}'s task`);
    if (notice.seq === before?.seq) {
      // Progress in between, and nothing else, repeats a seq.
      if (notice.status !== "in progress" || this.#catchingUp)
        this.faults.push(`seq ${notice.seq} came twice, as ${notice.status}`);
    } else {
      if (notice.seq <= this.#seq) this.faults.push(`seq ${notice.seq} came after ${this.#seq}`);
      this.#seq = notice.seq;
      this.transitions += 1;
      if (ENDED.has(before?.status ?? "") && !this.#livesAgain(notice.task_id))
        this.faults.push(`${notice.task_id} went from ${before?.status} to ${notice.status}`);
      if (ENDED.has(notice.status)) this.ends.set(notice.task_id, (this.ends.get(notice.task_id) ?? 0) + 1);
    }
    this.tasks.set(notice.task_id, notice);
  }

  #workflow(notice: WorkflowNotice): void {
    if (notice.owner_id !== this.#client.id) this.faults.push(`a notice of ${notice.owner_id}'s workflow`);
    if (notice.seq <= this.#seq) this.faults.push(`seq ${notice.seq} of a workflow came after ${this.#seq}`);
    this.#seq = notice.seq;
    this.workflows.set(notice.workflow_id, notice);
  }

  #livesAgain(id: string): boolean {
    const left = this.#revivals.get(id) ?? 0;
    if (left > 0) this.#revivals.set(id, left - 1);
    return left > 0;
  }
}
