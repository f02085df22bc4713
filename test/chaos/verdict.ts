/** After the faults: waits until everything has ended, and says what is not as it must be. */
import { Database } from "bun:sqlite";
import { existsSync, readFileSync } from "node:fs";
import { isTerminal, STATUSES, type Status } from "../../src/domain/task.ts";
import { childrenOf, hasProc, lines } from "../support/artel-process.ts";
import type { Task } from "../support/e2e-client.ts";
import { EFFECTS } from "../support/e2e-tasks.ts";
import type { View } from "../support/e2e-view.ts";
import { eventually } from "../support/waiting.ts";
import { outcomeOf, same } from "./submissions.ts";
import type { User } from "./user.ts";
import type { World } from "./world.ts";

/** What a dead worker ran in a Redis that was wiped is found after a lease and two comparisons; a suspect may wait for others. */
const SETTLE_MS = 150_000;
/** How soon what follows the rows is as they say, in milliseconds. */
const MOMENT_MS = 5_000;
/** Gauges that say that there is nothing to do. */
const IDLE = ["artel_jobs_running"];
const IDLE_SERVER = ["artel_tasks_pending", "artel_tasks_in_progress", "artel_tasks_in_broker", "artel_tasks_waiting"];
/** What Redis still holds when there is nothing to do. */
const LEFT_IN_REDIS = ["owner", "v3:meta", "v3:signals", "v3:workers", "v3:crew", "v3:events"];

interface Row {
  readonly id: string;
  readonly name: string;
  readonly status: Status;
  readonly attempt: number;
  readonly input: unknown;
  readonly result: unknown;
  readonly error: string | null;
}

/** Waits until all that was accepted, or may have been, has ended and every socket has told so. @returns what has not */
export async function settled(users: readonly User[]): Promise<string[]> {
  const until = Date.now() + SETTLE_MS;
  const late = await Promise.all(
    users.map(async (user) => {
      try {
        await ended(user.view, [...user.accepted.keys()], until);
        // A task may yet kill the server.
        const listed = () => user.client.tasks().catch(() => undefined);
        const tasks = await eventually(listed, "the list of tasks", until - Date.now());
        await ended(
          user.view,
          tasks.map(({ task_id }) => task_id),
          until,
        );
        return [];
      } catch (error) {
        const open = [...user.accepted].filter(([id]) => !user.view.hasEnded(id));
        return [`${user.client.email}: ${String(error)}`, ...open.map(([id, { name }]) => `${name} ${id} has not ended`)];
      }
    }),
  );
  return late.flat();
}

/** The socket may come and go meanwhile. */
async function ended(view: View, ids: readonly string[], until: number): Promise<void> {
  let open = ids;
  const none = (): true | undefined => {
    open = open.filter((id) => !view.hasEnded(id));
    return open.length === 0 || undefined;
  };
  await eventually(none, `the end of ${ids.length} tasks`, until - Date.now());
}

/** What is wrong with what users were told, what rows say and what brokers hold. */
export async function judged(world: World, users: readonly User[]): Promise<string[]> {
  const rows = rowsOf(world);
  const ran = runsOf(world);
  const found = await Promise.all(users.map((user) => judgedUser(user, rows, ran)));
  return [...found.flat(), ...(await judgedProcesses(world)), ...(await judgedRedis(world))];
}

async function judgedUser(user: User, rows: ReadonlyMap<string, Row>, ran: ReadonlyMap<string, number>): Promise<string[]> {
  const { client, view, accepted } = user;
  const listed = await client.tasks();
  const ids = new Set(listed.map(({ task_id }) => task_id));
  const wrong = [...user.faults, ...view.faults];
  for (const [id, submission] of accepted) {
    const row = rows.get(id);
    if (!ids.has(id) || !row) wrong.push(`${submission.name} ${id} was accepted and is not there`);
    else if (same({ name: row.name, input: row.input }) !== same(submission)) wrong.push(`${id} is not what was asked for`);
  }
  wrong.push(...strangers(user, listed, rows));
  for (const task of listed) {
    const row = rows.get(task.task_id);
    if (!row) wrong.push(`${task.task_id} is listed and has no row`);
    else wrong.push(...judgedTask(user, task, row, ran.get(row.id) ?? 0));
  }
  for (const id of view.tasks.keys()) if (!ids.has(id)) wrong.push(`${id} was told of and is not there`);
  return wrong.map((what) => `${client.email}: ${what}`);
}

/** What is listed and was never accepted must be something whose answer was lost, and each of those is there at most once. */
function strangers({ accepted, unknown }: User, listed: readonly Task[], rows: ReadonlyMap<string, Row>): string[] {
  const lost = new Map<string, number>();
  for (const submission of unknown) lost.set(same(submission), (lost.get(same(submission)) ?? 0) + 1);
  return listed.flatMap(({ task_id, name }) => {
    if (accepted.has(task_id)) return [];
    const key = same({ name, input: rows.get(task_id)?.input });
    const left = lost.get(key) ?? 0;
    lost.set(key, left - 1);
    return left > 0 ? [] : [`nobody asked for ${name} ${task_id}`];
  });
}

function judgedTask(user: User, task: Task, row: Row, ran: number): string[] {
  const wrong: string[] = [];
  const { view, cancelled } = user;
  const notice = view.tasks.get(task.task_id);
  const difference = view.difference(task);
  if (difference !== undefined) wrong.push(difference);
  if (!isTerminal(row.status)) wrong.push(`${row.name} ${row.id} is ${row.status}`);
  if (!Bun.deepEquals(notice?.result, row.result)) wrong.push(`the result of ${row.id} was not told as it is`);
  const { atLeast, atMost } = user.lives(row.id);
  const ends = view.ends.get(row.id) ?? 0;
  if (ends < atLeast || ends > atMost) wrong.push(`${row.id} ended ${ends} times`);
  wrong.push(...judgedOutcome(row, cancelled.has(row.id), ran));
  return wrong;
}

function judgedOutcome(row: Row, mayBeCancelled: boolean, ran: number): string[] {
  const { name, id, status, attempt, result, error, input } = row;
  if (status === "cancelled" && mayBeCancelled) return [];
  const is = { status, attempt, result, error };
  const expected = outcomeOf({ name, input });
  if (!Bun.deepEquals(is, expected)) return [`${name} ${id} is ${JSON.stringify(is)}, not ${JSON.stringify(expected)}`];
  const leavesEffect = ["quick", "slow", "talking"].includes(name);
  return leavesEffect && ran === 0 ? [`${name} ${id} is done and never ran`] : [];
}

/** The rows of all tasks, read beside the server. */
function rowsOf({ place }: World): Map<string, Row> {
  using db = new Database(place.path("data/artel.db"), { readonly: true });
  db.run("PRAGMA busy_timeout = 5000");
  const query = db.query<Record<string, string | number | null>, []>(
    "SELECT t.id, l.name, t.status, t.attempt, t.args, t.result, t.error_code FROM tasks t JOIN lanes l ON l.n = t.lane",
  );
  return new Map(
    query.all().map((row) => [
      String(row["id"]),
      {
        id: String(row["id"]),
        name: String(row["name"]),
        status: STATUSES[Number(row["status"])] as Status,
        attempt: Number(row["attempt"]),
        input: JSON.parse(String(row["args"])),
        result: JSON.parse(String(row["result"])),
        error: row["error_code"] as string | null,
      },
    ]),
  );
}

/** How often each task has left an effect. */
export function runsOf({ place }: World): Map<string, number> {
  const runs = new Map<string, number>();
  const file = place.path(EFFECTS);
  for (const id of existsSync(file) ? lines(readFileSync(file, "utf8")) : []) runs.set(id, (runs.get(id) ?? 0) + 1);
  return runs;
}

async function judgedProcesses({ serve, keepers }: World): Promise<string[]> {
  const wrong = await Promise.all(
    keepers.map(async (keeper) => {
      const { url, process } = await keeper.up;
      const names = keeper === serve ? [...IDLE, ...IDLE_SERVER] : IDLE;
      const children = async () => (hasProc ? childrenOf(process.pid) : []).map((pid) => `${process.pid} still has ${pid}`);
      return [...(await soonNone(() => gauges(url, names))), ...(await soonNone(children))];
    }),
  );
  return wrong.flat();
}

/** Once users have closed their sockets. */
export async function judgedSockets({ serve }: World): Promise<string[]> {
  const { url } = await serve.up;
  return await soonNone(() => gauges(url, ["artel_sockets"]));
}

/** Those of these gauges that are not at zero. */
async function gauges(url: string, names: readonly string[]): Promise<string[]> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const value = (name: string): string | undefined => new RegExp(`^${name} (.*)$`, "m").exec(text)?.[1];
  return names.flatMap((name) => (value(name) === "0" ? [] : [`${url} says ${name} ${value(name)}`]));
}

/** What is wrong now must be right in a moment: gauges, acknowledgements and children follow what is recorded. @returns what is not */
async function soonNone(wrong: () => Promise<string[]>): Promise<string[]> {
  const none = async (): Promise<true | undefined> => ((await wrong()).length === 0 ? true : undefined);
  return await eventually(none, "idleness", MOMENT_MS).then(() => [], wrong);
}

async function judgedRedis({ redis }: World): Promise<string[]> {
  if (!redis) return [];
  return await soonNone(async () => {
    const keys = (await redis.command("KEYS", "*")) as string[];
    const events = Number(await redis.command("XLEN", "{artel}:v1:events"));
    const odd = keys.filter((key) => !LEFT_IN_REDIS.includes(key.replace("{artel}:", "")));
    return [...odd.map((key) => `Redis still has ${key}`), ...(events > 0 ? [`Redis still has ${events} events`] : [])];
  });
}

/** Once everything has stopped: ends and words that no fault explains, and what SQLite says of its file. */
export function judgedRemains({ keepers, place }: World): string[] {
  using db = new Database(place.path("data/artel.db"), { readonly: true });
  const { integrity_check } = db.query("PRAGMA integrity_check").get() as { integrity_check: string };
  return [
    ...(integrity_check === "ok" ? [] : [`SQLite: ${integrity_check}`]),
    ...keepers.flatMap(({ faults }) => faults),
    ...keepers.flatMap(({ lives }) =>
      lives.flatMap(({ pid, stderr }) => complaints(stderr).map((line) => `process ${pid}: ${line}`)),
    ),
  ];
}

/** Whatever is no log line of a lower level than error. The last line of a process that was killed may be half of one. */
const complaints = (stderr: string): string[] =>
  stderr
    .split("\n")
    .slice(0, -1)
    .filter((line) => !/^\{.*"level":"(debug|info|warn)"/.test(line));
