/** A server and its workers around a real Redis, each a process of the executable, started when the test says so. */
import { Database } from "bun:sqlite";
import { STATUSES, type Status } from "../../src/domain/task.ts";
import { type ArtelProcess, Place, type Served } from "./artel-process.ts";
import { onRedis } from "./broker.ts";
import { type Client, expectStatus } from "./e2e-client.ts";
import { TASKS } from "./e2e-tasks.ts";
import type { Machine } from "./machines.ts";
import { RedisServer, type RedisServerOptions, redisPath } from "./redis-server.ts";
import { eventually } from "./waiting.ts";

/** Tests that bring their own Redis run once, though `npm test` runs this folder on both brokers. */
export const ownRedis = redisPath !== undefined && !onRedis;

/** As GET /workers shows it. */
export interface WorkerItem {
  readonly id: string;
  readonly host: string;
  readonly pid: number;
  readonly version: string;
  readonly threads: number;
  readonly slots: number;
  readonly queues: readonly string[] | null;
  readonly tasks: readonly string[];
  readonly running: number;
  readonly started_at: string;
  readonly seen_at: string;
}

export interface Row {
  readonly status: Status;
  readonly attempt: number;
  readonly deaths: number;
}

export class Site implements AsyncDisposable {
  readonly place: Place;
  readonly redis: RedisServer;
  /** Where processes look for Redis. */
  redisUrl: string;

  private constructor(place: Place, redis: RedisServer) {
    this.place = place;
    this.redis = redis;
    this.redisUrl = redis.url;
  }

  /** With the task files of e2e-tasks.ts in `tasks`. */
  static async make(options: RedisServerOptions = {}): Promise<Site> {
    await using starting = new AsyncDisposableStack();
    const place = starting.use(await Place.make());
    const redis = starting.use(await RedisServer.start(options));
    place.write(TASKS);
    starting.move();
    return new Site(place, redis);
  }

  /** Starts `artel serve` without threads, unless `args` say otherwise. */
  async serve(args: readonly string[] = [], env: Readonly<Record<string, string>> = {}): Promise<Served> {
    const threads = args.includes("--threads") ? [] : ["--threads", "0"];
    return await this.place.serve(["--redis", this.redisUrl, ...withTasks(args), ...threads], env);
  }

  /** Starts `artel work` with one thread, unless `args` say otherwise, here or there, and waits until it says that it works. */
  async work(args: readonly string[] = [], env: Readonly<Record<string, string>> = {}, machine?: Machine): Promise<ArtelProcess> {
    const threads = args.includes("--threads") ? [] : ["--threads", "1"];
    const url = machine ? this.redisUrl.replace("127.0.0.1", machine.here) : this.redisUrl;
    const started = this.place.start(["work", "--redis", url, ...withTasks(args), ...threads], env, machine?.command);
    await working(started);
    return started;
  }

  /** Makes an account an admin, as a command beside the server does; returns once the server heeds it. */
  async promote(client: Client): Promise<void> {
    {
      using db = new Database(this.place.path("data/artel.db"));
      db.run("PRAGMA busy_timeout = 5000");
      db.run("UPDATE accounts SET role = 'admin' WHERE id = ?", [client.id]);
    }
    const heeded = async () => ((await client.call("GET", "/workers")).status === 200 ? true : undefined);
    await eventually(heeded, "an admin's rights");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.place[Symbol.asyncDispose]();
    await this.redis.stop();
  }
}

/** Waits until a worker says what it works on. @returns that line */
export async function working(worker: ArtelProcess): Promise<string> {
  return await worker.until(() => /^.* works on .*\n/m.exec(worker.stdout)?.[0], "the line that says what it works on");
}

/** What GET /workers shows to an admin. */
export async function workersOf(admin: Client): Promise<readonly WorkerItem[]> {
  return (expectStatus(200, await admin.call("GET", "/workers")) as { items: WorkerItem[] }).items;
}

/** What the rows of some tasks say, whether or not a server runs on them. */
export function rowsOf(place: Place, ids: readonly string[]): (Row | undefined)[] {
  using db = new Database(place.path("data/artel.db"), { readonly: true });
  db.run("PRAGMA busy_timeout = 5000");
  const all = db.query<{ id: string; status: number; attempt: number; deaths: number }, []>(
    "SELECT id, status, attempt, deaths FROM tasks",
  );
  const rows = new Map(all.all().map(({ id, status, ...rest }) => [id, { status: STATUSES[status] as Status, ...rest }]));
  return ids.map((id) => rows.get(id));
}

const withTasks = (args: readonly string[]): readonly string[] =>
  args.includes("--tasks") ? args : ["--tasks", "tasks", ...args];
