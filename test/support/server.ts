import type { Database } from "bun:sqlite";
import { afterAll, expect, setDefaultTimeout } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ServerSettings, startServer } from "../../src/compose.ts";
import type { Status } from "../../src/domain/task.ts";
import { jwtSigner } from "../../src/drivers/jwt.ts";
import { sqliteAccounts } from "../../src/drivers/sqlite/accounts.ts";
import { openDatabase } from "../../src/drivers/sqlite/database.ts";
import { migrateUp } from "../../src/drivers/sqlite/migrate.ts";
import { systemClock, systemRandom } from "../../src/drivers/system.ts";
import { AccountAdmin } from "../../src/services/account-admin.ts";
import { cheapPasswords, PASSWORD, SECRET } from "./accounts.ts";
import { brokerOfRun } from "./broker.ts";
import { Gates } from "./gates.ts";
import { type LogLine, recordingLog } from "./manual-runtime.ts";
import { connect, type NoticeClient } from "./notices.ts";
import { TASK_FILES } from "./task-files.ts";

/** A task as the HTTP answers show it. */
export interface TaskView {
  readonly task_id: string;
  readonly owner_id: string;
  readonly name: string;
  readonly queue: string;
  readonly priority: string;
  readonly status: Status;
  readonly args: unknown;
  readonly progress: number | null;
  readonly message: string | null;
  readonly result: unknown;
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly attempt: number;
  readonly max_attempts: number;
  readonly cancel_requested: boolean;
  readonly created_at: string;
  readonly run_at: string;
  readonly started_at: string | null;
  readonly finished_at: string | null;
  readonly seq: number;
}

/** The real service in this process, on a free port of the loopback, with a data directory and task files of its own. */
export class TestServer {
  readonly url: string;
  readonly dataDirectory: string;
  readonly lines: LogLine[];
  readonly #stop: (deadlineMs: number) => Promise<void>;
  readonly #root: string;
  readonly #admin: AccountAdmin;
  readonly #closeDatabase: () => void;
  readonly #sockets: NoticeClient[] = [];
  #accounts = 0;

  private constructor(parts: {
    url: string;
    root: string;
    lines: LogLine[];
    admin: AccountAdmin;
    stop: (deadlineMs: number) => Promise<void>;
    closeDatabase: () => void;
  }) {
    this.url = parts.url;
    this.#root = parts.root;
    this.dataDirectory = join(parts.root, "data");
    this.lines = parts.lines;
    this.#admin = parts.admin;
    this.#stop = parts.stop;
    this.#closeDatabase = parts.closeDatabase;
  }

  /** @param seed changes the database before the service starts on it */
  static async start(settings: Partial<ServerSettings> = {}, seed?: (db: Database) => void): Promise<TestServer> {
    const root = mkdtempSync(join(tmpdir(), "artel-http-"));
    const tasks = join(root, "tasks");
    mkdirSync(tasks);
    for (const [name, text] of Object.entries(TASK_FILES)) writeFileSync(join(tasks, `${name}.ts`), text);
    const { log, lines } = recordingLog();
    const data = join(root, "data");
    if (seed) {
      mkdirSync(data);
      const { db, close } = openDatabase(join(data, "artel.db"));
      migrateUp(db);
      seed(db);
      close();
    }
    const server = await startServer(
      {
        host: "127.0.0.1",
        port: 0,
        dataDirectory: data,
        durability: "normal",
        redis: await brokerOfRun(),
        threads: 1,
        slots: 64,
        watchTasks: true,
        tasksDirectory: tasks,
        retentionMs: 7 * 86_400_000,
        maxQueued: 1_000_000,
        maxQueuedPerUser: 1_000_000,
        origins: [],
        trustProxy: [],
        secret: SECRET,
        allowPrivateHosts: false,
        logRequests: false,
        version: "0.0.0-test",
        isolateCommand: [process.execPath, join(import.meta.dir, "../../src/main.ts"), "isolate"],
        ...settings,
      },
      log,
    );
    // As a command beside the server would: the same file on a connection of its own.
    const database = openDatabase(join(data, "artel.db"));
    const admin = new AccountAdmin({
      store: sqliteAccounts(database.orm),
      passwords: cheapPasswords(),
      signer: await jwtSigner(SECRET, systemClock),
      clock: systemClock,
      random: systemRandom,
    });
    return new TestServer({ url: server.url, root, lines, admin, stop: server.stop, closeDatabase: () => database.close() });
  }

  get port(): number {
    return Number(new URL(this.url).port);
  }

  /** Errors that the service has logged. */
  get errors(): LogLine[] {
    return this.lines.filter(({ level }) => level === "error");
  }

  /** Drains without waiting for tasks. */
  drain(): Promise<void> {
    return this.#stop(Date.now());
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.terminate();
    await this.drain();
    this.#closeDatabase();
    rmSync(this.#root, { recursive: true, force: true });
  }

  /** A new account with a token, made beside the server: hashes as cheap as they go, no rate limit. */
  async user(options: { admin?: boolean; expiresMs?: number } = {}): Promise<User> {
    this.#accounts += 1;
    const email = `user-${this.#accounts}@example.com`;
    const account = await this.#admin.create(email, PASSWORD, options.admin ? "admin" : "user");
    return new User(this, { id: account.id, email, token: await this.token(email, options.expiresMs) });
  }

  /** Another access token, of a session of its own. */
  async token(email: string, expiresMs = 3_600_000): Promise<string> {
    return (await this.#admin.issueToken(email, expiresMs)).token;
  }

  promote(email: string): void {
    this.#admin.promote(email);
  }

  setPassword(email: string, password: string): Promise<void> {
    return this.#admin.setPassword(email, password);
  }

  /** A new account by the service's own register and login. */
  async register(email = `registered-${crypto.randomUUID()}@example.com`): Promise<User> {
    const registered = await this.post("/auth/register", { email, password: PASSWORD });
    const { id } = (await registered.json()) as { id: string };
    return new User(this, { id, email, token: (await this.login(email)).access_token });
  }

  async login(email: string, password = PASSWORD): Promise<{ access_token: string; refresh_token: string }> {
    const response = await this.post("/auth/login", { email, password });
    if (response.status !== 200) throw new Error(`login of ${email}: ${response.status} ${await response.text()}`);
    return (await response.json()) as { access_token: string; refresh_token: string };
  }

  fetch(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(this.url + path, init);
  }

  post(path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Response> {
    return this.fetch(path, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  /** Opens a WebSocket; `stop` closes it. @throws HandshakeRefused */
  async socket(options: { query?: string; headers?: Record<string, string>; protocols?: string[] } = {}): Promise<NoticeClient> {
    const client = await connect(`${this.url.replace("http", "ws")}/ws/notifications${options.query ?? ""}`, options);
    this.#sockets.push(client);
    return client;
  }
}

/** An account and what it does over HTTP and WebSocket. */
export class User {
  readonly id: string;
  readonly email: string;
  readonly token: string;
  readonly #server: TestServer;

  constructor(server: TestServer, of: { id: string; email: string; token: string }) {
    this.#server = server;
    this.id = of.id;
    this.email = of.email;
    this.token = of.token;
  }

  get headers(): { authorization: string } {
    return { authorization: `Bearer ${this.token}` };
  }

  get(path: string): Promise<Response> {
    return this.#server.fetch(path, { headers: this.headers });
  }

  post(path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Response> {
    return this.#server.post(path, body, { ...this.headers, ...headers });
  }

  /** Submits one task. @returns its id */
  async submit(name: string, input: unknown, query = ""): Promise<string> {
    const response = await this.post(`/tasks/${name}${query}`, input);
    if (response.status !== 202) throw new Error(`${name}: ${response.status} ${await response.text()}`);
    return ((await response.json()) as { task_id: string }).task_id;
  }

  async submitBatch(name: string, inputs: readonly unknown[]): Promise<string[]> {
    const response = await this.post(`/tasks/${name}/batch`, inputs);
    if (response.status !== 202) throw new Error(`${name}: ${response.status} ${await response.text()}`);
    return ((await response.json()) as { task_ids: string[] }).task_ids;
  }

  async task(id: string): Promise<TaskView> {
    const response = await this.get(`/tasks/${id}`);
    if (response.status !== 200) throw new Error(`task: ${response.status} ${await response.text()}`);
    return (await response.json()) as TaskView;
  }

  socket(query = ""): Promise<NoticeClient> {
    return this.#server.socket({ query, headers: this.headers });
  }

  /** Submits one task and waits for its end. */
  async run(name: string, input: unknown): Promise<TaskView> {
    const socket = await this.socket();
    const id = await this.submit(name, input);
    await socket.ended(id);
    socket.terminate();
    return await this.task(id);
  }
}

/**
 * A server for all tests of a file, ended after them, when it must have logged no error: `await` it at the file's top.
 * The preload's time limit holds for the first file of a run only, so it is set here.
 */
export async function suiteServer(settings: Partial<ServerSettings> = {}): Promise<{ server: TestServer; gates: Gates }> {
  setDefaultTimeout(30_000);
  const server = await TestServer.start(settings);
  const gates = new Gates();
  afterAll(async () => {
    expect(server.errors).toEqual([]);
    await gates.stop();
    await server.stop();
  });
  return { server, gates };
}
