import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { STATUSES } from "../../src/domain/task.ts";
import { sqliteAccounts } from "../../src/drivers/sqlite/accounts.ts";
import { openDatabase } from "../../src/drivers/sqlite/database.ts";
import { SqliteTasks } from "../../src/drivers/sqlite/tasks.ts";
import { PASSWORD } from "../support/accounts.ts";
import { seededId, seedTasks } from "../support/seeded-tasks.ts";
import { TestServer } from "../support/server.ts";
import { SqlMeter } from "../support/sql-meter.ts";

// Builds and starts what it looks at; the preload's limit holds for the first file of a run only.
setDefaultTimeout(60_000);

/*
 * Every route is called once with each of its filters, on a database with tasks in every status, and SQLite is asked how it
 * answers each statement that was run meanwhile: none may look at all rows of a table that grows, or sort.
 */

const SEEDED = 12_000;
const TASK_FILES = {
  noop: "export default task({ input: t.Object({ i: t.Optional(t.Integer()) }), run: () => null });",
  only: "export default task({ unique: true, input: t.Object({ i: t.Integer() }), run: () => null });",
  talks: "export default task({ input: t.Object({}), run(_, ctx) { ctx.progress(0.5, 'half'); ctx.log.info('said'); } });",
  fails: "export default task({ retry: 1, input: t.Object({}), run() { throw new Error('as it should'); } });",
  again:
    "export default task({ retry: { attempts: 2, backoff: 1 }, input: t.Object({}), run(_, ctx) { if (ctx.attempt < 2) throw 0; } });",
  nightly: "export default task({ schedule: '0 3 * * *', input: t.Object({}), run: () => null });",
};

/** Tables with a row for each task, user or session; the others hold a few rows whatever happens. */
const GROWING = ["tasks", "accounts", "sessions", "refresh_tokens", "lanes", "task_logs", "unique_keys", "answered_keys"];

/** What looks at many rows all the same, and why that is no harm. */
const ALLOWED = [
  // A page in the order of the key, which stops when it is full.
  /^SELECT n, id, .* FROM tasks NOT INDEXED (WHERE .* )?ORDER BY n DESC LIMIT \?$/,
  // A filtered page in the order of the key, which stops when it is full, or after so many keys.
  /^SELECT n, id, .* FROM \(SELECT n AS walked FROM tasks NOT INDEXED (WHERE .* )?ORDER BY n DESC LIMIT 10000\) CROSS JOIN tasks /,
  // Where one that was not full has stopped: so many keys on.
  /^SELECT n FROM tasks NOT INDEXED (WHERE .* )?ORDER BY n DESC LIMIT 1 OFFSET 10000$/,
  // The oldest refresh tokens, as many as one step removes.
  /^delete from "refresh_tokens" .*order by "refresh_tokens".rowid asc limit \?\) /,
  // Once, at the start: what queues is counted.
  /^SELECT count\(\*\) AS count FROM tasks WHERE status = 1$/,
  /^SELECT lane, dispatched, count\(\*\) AS count FROM tasks WHERE status = 1 GROUP BY dispatched, lane$/,
  // An admin who catches up with everybody's tasks: of 10,000 rows at most, counted before, owner by owner.
  /^SELECT n, id, .* FROM tasks INDEXED BY tasks_owner_seq WHERE seq > \? AND seq <= \? AND owner IN \(SELECT n FROM accounts\) ORDER BY seq LIMIT \?$/,
];

interface Call {
  readonly method: string;
  readonly path: string;
  readonly status: number;
}

let server: TestServer;
let meter: SqlMeter;
let folder: string;
let firstKey = 0;
const calls: Call[] = [];

beforeAll(async () => {
  meter = new SqlMeter();
  folder = mkdtempSync(join(tmpdir(), "artel-plans-"));
  for (const [name, text] of Object.entries(TASK_FILES)) {
    writeFileSync(join(folder, `${name}.ts`), `import { task, t } from "artel";\n${text}\n`);
  }
  server = await TestServer.start({ tasksDirectory: folder, maxQueued: 1_000_000 }, seed);
  await everyRoute();
  byThemselves();
});

afterAll(async () => {
  await server.stop();
  meter[Symbol.dispose]();
  rmSync(folder, { recursive: true, force: true });
});

/** Another user's, so that nothing of it runs: its queued tasks are of a name that nobody serves. */
function seed(db: Database): void {
  db.run("INSERT INTO accounts (n, id, email, password_hash, role, created_at) VALUES (1, 'seeded', 'seeded', 'x', 'user', 0)");
  const of = { count: SEEDED, owner: 1, names: ["gone", "rare"], statuses: STATUSES };
  firstKey = seedTasks(db, { ...of, upTo: Date.now() - 60_000 });
}

async function call(method: string, path: string, token: string, body?: unknown, headers: Record<string, string> = {}) {
  const response = await server.fetch(path, {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  calls.push({ method, path: path.split("?")[0] ?? "", status: response.status });
  if (response.status >= 400 && response.status !== 409) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return text.startsWith("{") || text.startsWith("[") ? JSON.parse(text) : text;
}

async function everyRoute(): Promise<void> {
  const account = { email: "ada@example.com", password: PASSWORD };
  await call("POST", "/auth/register", "", account);
  const session = await call("POST", "/auth/login", "", account);
  const next = await call("POST", "/auth/refresh", "", { refresh_token: session.refresh_token });
  await submissions(next.access_token);
  await lists(next.access_token);
  server.promote(account.email);
  const admin = await call("POST", "/auth/login", "", account);
  await lists(admin.access_token, "&owner=all");
  await lists(admin.access_token, "&owner=seeded");
  await operations(admin.access_token);
  await workflows(admin.access_token);
  await call("POST", "/auth/ws-ticket", admin.access_token);
  await call("GET", "/auth/me", admin.access_token);
  await call("POST", "/auth/password", admin.access_token, { current_password: PASSWORD, new_password: `${PASSWORD} again` });
  await call("POST", "/auth/logout", admin.access_token);
}

async function submissions(token: string): Promise<void> {
  const socket = await server.socket({ headers: { authorization: `Bearer ${token}` } });
  const submit = async (path: string, body: unknown, headers = {}): Promise<string> =>
    (await call("POST", path, token, body, headers)).task_id;
  const ended = ["noop", "talks", "fails", "again"].map(async (name) => socket.ended(await submit(`/tasks/${name}`, {})));
  const failed = (await Promise.all(ended)).find(({ status }) => status === "failed")?.task_id ?? "";
  await submit("/tasks/noop", { i: 1 }, { "idempotency-key": "one" });
  await submit("/tasks/noop", { i: 1 }, { "idempotency-key": "one" });
  await submit("/tasks/only", { i: 1 });
  await submit("/tasks/only", { i: 1 });
  await submit("/tasks/only", { i: 1 }, { "idempotency-key": "one" });
  const { task_ids } = await call("POST", "/tasks/noop/batch", token, [{}, {}]);
  const later = await submit("/tasks/noop?delay=1h&priority=high", {});
  await call("GET", `/tasks/${later}`, token);
  await call("GET", `/tasks/${task_ids[0]}/logs`, token);
  await call("POST", `/tasks/${later}/cancel`, token);
  await call("POST", `/tasks/${failed}/retry`, token);
  await socket.settle();
  // From the rows again: what changed since.
  const { epoch } = socket.ready;
  const late = await server.socket({ query: `?since=0&epoch=${epoch}`, headers: { authorization: `Bearer ${token}` } });
  await late.next((message) => message.type === "caught_up" || message.type === "reset", "the end of catching up");
  await late.ask({ type: "subscribe", topic: `task:${later}`, since: 0, epoch }, "subscribed");
}

/** With no filter, each filter and each pair of them, at the beginning and from a cursor on. */
async function lists(token: string, more = ""): Promise<void> {
  const deep = `&cursor=${Buffer.from(`n${firstKey + SEEDED - 10}`).toString("base64url")}`;
  for (const cursor of ["", deep]) {
    for (const name of ["", "&name=rare"]) {
      for (const status of ["", ...STATUSES.map((each) => `&status=${encodeURIComponent(each)}`)]) {
        await call("GET", `/tasks?limit=20${name}${status}${cursor}${more}`, token);
      }
    }
  }
}

async function operations(token: string): Promise<void> {
  const socket = await server.socket({ headers: { authorization: `Bearer ${token}` } });
  await socket.ask({ type: "subscribe", topic: "tasks", since: 1, epoch: socket.ready.epoch }, "subscribed");
  await call("GET", `/tasks/${seededId(firstKey + 5, 5)}`, token);
  for (const path of ["/tasks/definitions", "/workers", "/schedules", "/health/live", "/health/ready", "/metrics", "/docs"]) {
    await call("GET", path, token);
  }
  await call("GET", "/queues", token);
  for (const what of ["pause", "resume"]) {
    await call("POST", `/queues/default/${what}`, token);
    await call("POST", `/tasks/definitions/noop/${what}`, token);
  }
  for (const what of ["pause", "resume", "run"]) await call("POST", `/schedules/nightly/${what}`, token);
}

async function workflows(token: string): Promise<void> {
  const step = { task: "noop", input: {} };
  const chord = { chord: [step, step], then: { task: "noop", input: {} } };
  const { workflow_id: id } = await call("POST", "/workflows", token, chord, { "idempotency-key": "chord" });
  await call("POST", "/workflows", token, chord, { "idempotency-key": "chord" });
  await call("GET", `/workflows/${id}`, token);
  for (const query of ["", "?limit=1", "?owner=all"]) await call("GET", `/workflows${query}`, token);
  await call("POST", `/workflows/${id}/cancel`, token);
  await call("POST", `/workflows/${id}/retry`, token);
}

/** What comes round by itself, at its own times: asked for here, on a connection beside the server's. */
function byThemselves(): void {
  const { db, orm, close } = openDatabase(join(server.dataDirectory, "artel.db"));
  try {
    const tasks = new SqliteTasks(db, () => "none");
    const lane = { queue: "default", name: "gone", priority: "normal", owner: 1 } as const;
    expect([...tasks.dispatched(100)].flat()).not.toBeEmpty();
    tasks.waiting(lane, 10, 1_000);
    tasks.due(Date.now(), 10);
    expect(tasks.purge(1, 0, 10).removed).toBe(0);
    tasks.nextDueAt();
    tasks.countInProgress();
    tasks.countPending(1);
    const accounts = sqliteAccounts(orm);
    accounts.purgeSessions(1, 10);
    accounts.purgeSpentTokens(1, 10);
    accounts.endedAmong(["any"], Date.now());
  } finally {
    close();
  }
}

/** The operations of the document that nothing here has called. */
async function uncalled(): Promise<string[]> {
  const document = (await call("GET", "/openapi.json", "")) as { paths: Record<string, Record<string, unknown>> };
  const operations = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.keys(item).map((method) => ({ method: method.toUpperCase(), path })),
  );
  return (
    operations
      // The socket is no call; the submission of one task is all of theirs.
      .filter(({ method, path }) => path !== "/ws/notifications" && !(method === "POST" && /^\/tasks\/\w+$/.test(path)))
      .filter(({ method, path }) => {
        const pattern = new RegExp(`^${path.replaceAll(/\{\w+\}/g, "[^/]+")}$`);
        return !calls.some((each) => each.method === method && pattern.test(each.path));
      })
      .map(({ method, path }) => `${method} ${path}`)
  );
}

/** How SQLite answers a statement, step by step. */
function planOf(db: Database, text: string): string[] {
  const rows = db.prepare<{ detail: string }, []>(`EXPLAIN QUERY PLAN ${text}`).all();
  return rows.map(({ detail }) => detail);
}

/** What is wrong with a plan. */
function complaints(text: string, plan: readonly string[]): string[] {
  if (ALLOWED.some((allowed) => allowed.test(text))) return [];
  return plan.filter((step) => {
    const scanned = /^SCAN (\w+)/.exec(step)?.[1];
    return /TEMP B-TREE|AUTOMATIC/.test(step) || (scanned !== undefined && GROWING.includes(scanned));
  });
}

describe("how SQLite answers", () => {
  test("every route has been called", async () => {
    expect(await uncalled()).toEqual([]);
  });

  test("no statement looks at all rows of a table that grows, or sorts", () => {
    using db = new Database(join(server.dataDirectory, "artel.db"), { readonly: true });
    const asked = [...meter.counts.keys()].filter((text) => /^(SELECT|UPDATE|DELETE|INSERT|WITH)/i.test(text));
    // The routes alone run more than a hundred.
    expect(asked.length).toBeGreaterThan(100);
    const found = asked.flatMap((text) => {
      const wrong = complaints(text, planOf(db, text));
      return wrong.length === 0 ? [] : [`${text}: ${wrong.join("; ")}`];
    });
    expect(found).toEqual([]);
  });
});
