import { Database } from "bun:sqlite";
import { expect, setDefaultTimeout, test } from "bun:test";
import { copyFileSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { hasProc, Place } from "../support/artel-process.ts";
import { Client } from "../support/e2e-client.ts";
import { Submitters } from "../support/e2e-submitters.ts";
import { TASKS } from "../support/e2e-tasks.ts";
import { Strace, whyNoStrace } from "../support/strace.ts";
import { eventually, LIMIT_MS } from "../support/waiting.ts";

setDefaultTimeout(LIMIT_MS);

const COPIES = 20;
const noStrace = whyNoStrace();
if (noStrace !== undefined) console.log(`no strace here, so nobody looks at what is synced: ${noStrace}`);

/** Waits until no thread of a process that was sent SIGSTOP runs any more. */
async function stopped(pid: number): Promise<void> {
  const tasks = `/proc/${pid}/task`;
  const stands = (task: string): boolean => /\) T /.test(readFileSync(`${tasks}/${task}/stat`, "utf8"));
  await eventually(() => (readdirSync(tasks).every(stands) ? true : undefined), "the standstill");
}

/** The ids in a copy of the database, which is sound. */
function idsIn(file: string): Set<string> {
  using db = new Database(file);
  expect(db.query("PRAGMA integrity_check").values()).toEqual([["ok"]]);
  return new Set(
    db
      .query<{ id: string }, []>("SELECT id FROM tasks")
      .all()
      .map(({ id }) => id),
  );
}

test.skipIf(!hasProc)("the files of any moment hold every task that was acknowledged before, and can be served", async () => {
  await using place = await Place.make();
  place.write(TASKS);
  const serve = ["--tasks", "tasks", "--threads", "1", "--durability", "full"];
  const { url, process } = await place.serve(serve);
  const ada = await Client.register(url);
  const load = new Submitters(ada);
  let copy = "";
  for (let n = 1; n <= COPIES; n += 1) {
    await load.more("accepted", 1 + 7 * n);
    const acknowledged = [...load.accepted];
    process.signal("SIGSTOP");
    await stopped(process.pid);
    copy = `copy-${n}`;
    mkdirSync(place.path(copy));
    for (const name of ["artel.db", "artel.db-wal", "secret"]) copyFileSync(place.path("data", name), place.path(copy, name));
    process.signal("SIGCONT");
    const ids = idsIn(place.path(copy, "artel.db"));
    expect(acknowledged.filter((id) => !ids.has(id))).toEqual([]);
  }
  await load.stop();
  await process.end();
  ada.url = (await place.serve([...serve, "--data", copy])).url;
  const unended = (await ada.tasks()).filter(({ status }) => status !== "done");
  for (const { task_id } of unended) {
    await eventually(async () => ((await ada.task(task_id)).status === "done" ? true : undefined), task_id);
  }
});

/** How many answers 202 were sent, and how many of them while the log held what had not been synced. */
function answersIn(calls: readonly string[]): { sent: number; early: number } {
  const found = { sent: 0, early: 0 };
  let unsynced = false;
  for (const call of calls) {
    if (/^pwrite64\(\d+<[^>]*artel\.db-wal>/.test(call)) unsynced = true;
    if (/^f(data)?sync\(\d+<[^>]*artel\.db-wal>/.test(call)) unsynced = false;
    if (!call.includes('"HTTP/1.1 202')) continue;
    found.sent += 1;
    if (unsynced) found.early += 1;
  }
  return found;
}

test.skipIf(noStrace !== undefined)("full: the log is synced before each 202; normal: it is not", async () => {
  for (const durability of ["full", "normal"]) {
    await using place = await Place.make();
    const { url, process } = await place.serve(["--threads", "0", "--durability", durability]);
    const ada = await Client.register(url);
    const submit = (n: number): Promise<string> => ada.submit("parse", { url: `http://example.com/${n}` }, "?delay=1h");
    await using strace = await Strace.attach(
      process.pid,
      "--decode-fds=path",
      "--trace",
      "pwrite64,fsync,fdatasync,sendto,sendmsg,write,writev",
    );
    for (let n = 0; n < 10; n += 1) await submit(n);
    await Promise.all(Array.from({ length: 30 }, (_, n) => submit(n)));
    const calls = await strace.detach();
    expect(calls.filter((call) => /sync\(.* = -1/.test(call))).toEqual([]);
    expect([durability, answersIn(calls)]).toEqual([durability, { sent: 40, early: durability === "full" ? 0 : 40 }]);
  }
});
