import { type Answer, Client } from "../support/e2e-client.ts";
import { View } from "../support/e2e-view.ts";
import { anyOf, chosen, whole } from "./chance.ts";
import type { Keeper } from "./keeper.ts";
import { drawBatch, drawTask, isLethal, type Submission } from "./submissions.ts";

/** Tasks that one user has under way at most: so a run can always settle. */
const MOST = 60;
/** Between two of a user's requests, at most, in milliseconds. */
const PAUSE_MS = 80;
/** How soon a socket that has ended comes back, in milliseconds. */
const BACK_MS = 20;
/** How often a request with a key is sent again, at most. */
const TRIES = 5_000;
const BAD_ENDS = ["failed", "cancelled"];

/** Lives that a user's retries have begun, and may have begun: the answer was lost. */
interface Retries {
  answered: number;
  lost: number;
}

/** One account: it asks for all kinds of things at random, keeps what it was told, and notes what must not be. */
export class User {
  readonly client: Client;
  readonly view: View;
  /** What it heard 202 for, by id. */
  readonly accepted = new Map<string, Submission>();
  /** What may have been stored or not: the answer was lost. */
  readonly unknown: Submission[] = [];
  readonly cancelled = new Set<string>();
  readonly #retried = new Map<string, Retries>();
  readonly faults: string[] = [];
  requests = 0;
  unanswered = 0;
  readonly #server: Keeper;
  readonly #random: () => number;
  readonly #open = new Set<string>();
  readonly #ended: string[] = [];
  #others: readonly User[] = [];
  #keys = 0;
  #asking = true;
  #connecting = true;
  #loops: Promise<unknown>[] = [];
  readonly #acts: readonly { readonly weight: number; readonly act: () => Promise<void> | void }[] = [
    { weight: 44, act: () => this.#submit() },
    { weight: 10, act: () => this.#submitWithKey() },
    { weight: 12, act: () => this.#submitBatch() },
    { weight: 12, act: () => this.#cancel() },
    { weight: 8, act: () => this.#retry() },
    { weight: 5, act: () => this.#pry() },
    { weight: 3, act: () => this.#drop() },
  ];

  private constructor(parts: { client: Client; view: View; server: Keeper; random: () => number }) {
    this.client = parts.client;
    this.view = parts.view;
    this.#server = parts.server;
    this.#random = parts.random;
  }

  static async make(server: Keeper, name: string, random: () => number): Promise<User> {
    const client = await Client.register((await server.up).url, name);
    return new User({ client, view: await View.open(client), server, random });
  }

  /** From now on it asks, and its socket comes back whenever it ends. */
  start(others: readonly User[]): void {
    this.#others = others;
    this.#loops = [this.#askAround(), this.#stayConnected()];
    // Whoever stops it is told.
    for (const loop of this.#loops) loop.catch(() => {});
  }

  /** Asks for nothing more; returns once it knows whatever a repeated request can tell. */
  async quiet(): Promise<void> {
    this.#asking = false;
    await this.#loops[0];
  }

  async stop(): Promise<void> {
    this.#connecting = false;
    await Promise.all(this.#loops);
    this.view.close();
  }

  /** How many lives a task has had. */
  lives(id: string): { readonly atLeast: number; readonly atMost: number } {
    const { answered, lost } = this.#retried.get(id) ?? { answered: 0, lost: 0 };
    return { atLeast: 1 + answered, atMost: 1 + answered + lost };
  }

  async #askAround(): Promise<void> {
    while (this.#asking) {
      await Bun.sleep(this.#random() * PAUSE_MS);
      for (const id of this.#open) {
        if (!this.view.hasEnded(id)) continue;
        this.#open.delete(id);
        this.#ended.push(id);
      }
      await chosen(this.#acts, ({ weight }) => weight, this.#random).act();
    }
  }

  async #stayConnected(): Promise<void> {
    while (this.#connecting) {
      await Bun.sleep(BACK_MS);
      if (this.view.connected) continue;
      if (this.view.closed?.code === 4401) await this.#login();
      this.client.url = (await this.#server.up).url;
      this.view.reconnects += 1;
      // It does not come where the server is dead again.
      await this.view.connect().catch(() => {});
    }
  }

  async #submit(): Promise<void> {
    if (this.#full) return;
    const task = drawTask(this.#random);
    const answer = await this.#ask("POST", `/tasks/${task.name}${this.#query()}`, [202], task.input);
    if (answer === "lost") this.unknown.push(task);
    else if (answer) this.#accept([(answer.body as { task_id: string }).task_id], [task]);
  }

  /** Until an answer comes, and sometimes once more: it is the same task. */
  async #submitWithKey(): Promise<void> {
    if (this.#full) return;
    const task = drawTask(this.#random);
    this.#keys += 1;
    const key = { "idempotency-key": `key-${this.#keys}` };
    const ids = new Set<string>();
    let left = 1 + whole(this.#random, 2);
    for (let tries = 0; left > 0 && tries < TRIES; tries += 1) {
      const answer = await this.#ask("POST", `/tasks/${task.name}`, [202], task.input, key);
      if (answer === undefined || answer === "lost") continue;
      ids.add((answer.body as { task_id: string }).task_id);
      left -= 1;
    }
    this.#accept(
      [...ids],
      [...ids].map(() => task),
    );
    if (ids.size !== 1) this.faults.push(`a key stands for ${[...ids].join(" and ") || "nothing"}`);
  }

  async #submitBatch(): Promise<void> {
    if (this.#full) return;
    const tasks = drawBatch(this.#random);
    const inputs = tasks.map(({ input }) => input);
    const answer = await this.#ask("POST", `/tasks/${tasks[0]?.name}/batch${this.#query()}`, [202], inputs);
    if (answer === "lost") this.unknown.push(...tasks);
    else if (answer) this.#accept((answer.body as { task_ids: string[] }).task_ids, tasks);
  }

  async #cancel(): Promise<void> {
    const id = anyOf([...this.#open], this.#random);
    if (id === undefined) return;
    this.cancelled.add(id);
    await this.#ask("POST", `/tasks/${id}/cancel`, [202, 409]);
  }

  async #retry(): Promise<void> {
    const id = this.#ended.splice(whole(this.#random, this.#ended.length), 1)[0];
    if (id === undefined || !this.#mayRetry(id)) return;
    const retries = this.#retried.get(id) ?? { answered: 0, lost: 0 };
    this.#retried.set(id, retries);
    this.view.mayLiveAgain(id);
    const answer = await this.#ask("POST", `/tasks/${id}/retry`, retries.lost > 0 ? [202, 409] : [202]);
    if (answer === "lost") retries.lost += 1;
    else if (answer?.status === 202) retries.answered += 1;
    this.#open.add(id);
  }

  #mayRetry(id: string): boolean {
    return BAD_ENDS.includes(this.view.tasks.get(id)?.status ?? "") && !isLethal(this.accepted.get(id)?.name ?? "");
  }

  /** Somebody else's task is not there for anyone. */
  async #pry(): Promise<void> {
    const other = anyOf(
      this.#others.filter((user) => user !== this),
      this.#random,
    );
    const id = anyOf([...(other?.accepted.keys() ?? [])].slice(-MOST), this.#random);
    const [method, path] = anyOf(
      [
        ["GET", ""],
        ["GET", "/logs"],
        ["POST", "/cancel"],
        ["POST", "/retry"],
      ],
      this.#random,
    ) as [string, string];
    if (id !== undefined) await this.#ask(method, `/tasks/${id}${path}`, [404]);
  }

  #drop(): void {
    if (this.view.connected) this.view.close();
  }

  /**
   * One request. An answer of another status than these is noted as a fault.
   *
   * @returns undefined where it was refused, "lost" where nobody knows what became of it
   */
  async #ask(
    method: string,
    path: string,
    expected: readonly number[],
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer | "lost" | undefined> {
    this.client.url = (await this.#server.up).url;
    this.requests += 1;
    const answer = await this.client.call(method, path, body, headers).catch(() => undefined);
    if (!answer) {
      this.unanswered += 1;
      // A server that is gone for a while is not asked all the time.
      await Bun.sleep(BACK_MS);
      return "lost";
    }
    if (expected.includes(answer.status)) return answer;
    if (answer.status === 401) await this.#login();
    else this.faults.push(`${method} ${path} was answered ${answer.status} ${JSON.stringify(answer.body)}`);
    return undefined;
  }

  /** Tokens end after a quarter of an hour. */
  async #login(): Promise<void> {
    this.client.url = (await this.#server.up).url;
    await this.client.login().catch(() => {});
  }

  #accept(ids: readonly string[], tasks: readonly Submission[]): void {
    for (const [i, id] of ids.entries()) {
      if (this.accepted.has(id)) this.faults.push(`two answers name ${id}`);
      this.accepted.set(id, tasks[i] as Submission);
      this.#open.add(id);
    }
  }

  #query(): string {
    const delay = this.#random() < 0.1 ? [`delay=${whole(this.#random, 3_000)}ms`] : [];
    const priority = this.#random() < 0.3 ? [`priority=${anyOf(["low", "normal", "high"], this.#random)}`] : [];
    const query = [...delay, ...priority].join("&");
    return query === "" ? "" : `?${query}`;
  }

  get #full(): boolean {
    return this.#open.size >= MOST;
  }
}
