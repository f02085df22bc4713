import { Database } from "bun:sqlite";
import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync, renameSync, rmSync } from "node:fs";
import { type ArtelProcess, lines, Place, type Served } from "../support/artel-process.ts";
import { SmallDisk, whyNoDisks } from "../support/disk.ts";
import { Client, call } from "../support/e2e-client.ts";
import { expectRefused, Submitters } from "../support/e2e-submitters.ts";
import { EFFECTS, TASKS } from "../support/e2e-tasks.ts";
import { View } from "../support/e2e-view.ts";
import { Strace, whyNoStrace } from "../support/strace.ts";
import { eventually, LIMIT_MS } from "../support/waiting.ts";

setDefaultTimeout(LIMIT_MS);

const DISK_KIB = 16 * 1024;
const noDisks = whyNoDisks();
const noStrace = whyNoStrace();
if (noDisks !== undefined) console.log(`no small disks here, so tests of full ones are left out: ${noDisks}`);
if (noStrace !== undefined) console.log(`no strace here, so tests of failing disks are left out: ${noStrace}`);
/** The disk, and the data directory on it. */
const DISK = "disk";
const DATA = "disk/data";
const SERVE = ["--tasks", "tasks", "--threads", "1", "--data", DATA];
/** How soon the service is itself again once the disk is, in milliseconds. */
const BACK_MS = 2_000;

/** Waits for one file, says so, and ends when there is another. */
const HERALD = `
import { task, t } from "artel";
import { appendFileSync, existsSync } from "node:fs";
const place = import.meta.dir + "/../";
export default task({ input: t.Object({}), retry: 1, async run(_, ctx) {
  while (!existsSync(place + "speak")) await ctx.sleep(10);
  ctx.progress(0.5, "heard");
  while (!existsSync(place + "open")) await ctx.sleep(10);
  appendFileSync(place + "effects", ctx.task_id + "\\n");
  return "through";
} });
`;

/** A server whose data is on a small disk, and one of its users. */
class Scene implements AsyncDisposable {
  readonly place: Place;
  readonly disk: SmallDisk;
  readonly ada: Client;
  readonly view: View;
  process: ArtelProcess;
  readonly #resources: AsyncDisposableStack;

  private constructor(place: Place, disk: SmallDisk, ada: Client, view: View, served: Served, resources: AsyncDisposableStack) {
    this.place = place;
    this.disk = disk;
    this.ada = ada;
    this.view = view;
    this.process = served.process;
    this.#resources = resources;
  }

  static async open(): Promise<Scene> {
    await using opening = new AsyncDisposableStack();
    const place = opening.use(await Place.make());
    const disk = opening.use(SmallDisk.mount(place.path(DISK), DISK_KIB));
    place.write({ ...TASKS, "tasks/herald.ts": HERALD });
    const served = await place.serve(SERVE);
    const ada = await Client.register(served.url);
    const view = opening.adopt(await View.open(ada), (opened) => opened.close());
    return new Scene(place, disk, ada, view, served, opening.move());
  }

  /** Serves again, and the user is back. */
  async serve(): Promise<void> {
    const { process, url } = await this.place.serve(SERVE);
    this.process = process;
    this.ada.url = url;
    await this.view.connect();
  }

  /** Waits until /health/ready answers so, and says this of the database. */
  async ready(expected: readonly [status: number, database: unknown]): Promise<void> {
    await eventually(async () => (Bun.deepEquals(await this.#readiness(), expected) ? true : undefined), "readiness", BACK_MS);
  }

  /** All that stores anything is refused; all that does not is not. */
  async refuses(waiting: string): Promise<void> {
    const { ada } = this;
    const credentials = { email: "bob@example.com", password: "correct horse battery" };
    expectRefused(await call("POST", `${ada.url}/auth/register`, { body: credentials }));
    expectRefused(await call("POST", `${ada.url}/auth/login`, { body: { ...credentials, email: ada.email } }));
    expectRefused(await ada.call("POST", `/tasks/${waiting}/cancel`));
    expect((await ada.task(waiting)).cancel_requested).toBe(false);
    expect((await ada.call("GET", "/tasks")).status).toBe(200);
    expect((await ada.call("GET", "/auth/me")).status).toBe(200);
    expect((await call("GET", `${ada.url}/health/live`)).status).toBe(200);
  }

  /** How often each task has done its work. */
  ran(): Map<string, number> {
    const times = new Map<string, number>();
    const done = existsSync(this.place.path(EFFECTS)) ? readFileSync(this.place.path(EFFECTS), "utf8") : "";
    for (const id of lines(done)) times.set(id, (times.get(id) ?? 0) + 1);
    return times;
  }

  /** All these tasks, and no others, are there: each has ended once, and those that have run did so once. */
  async accountFor(done: readonly string[], cancelled: readonly string[] = []): Promise<void> {
    const all = [...done, ...cancelled];
    await this.view.ended(all);
    expect(this.view.faults).toEqual([]);
    for (const id of all) expect(this.view.ends.get(id)).toBe(1);
    const listed = await this.ada.tasks();
    expect(listed.map(({ task_id }) => task_id).sort()).toEqual(all.toSorted());
    for (const { attempt } of listed) expect(attempt).toBe(1);
    // What was refused counts for nothing.
    expect((await call("GET", `${this.ada.url}/metrics`)).body).toContain("\nartel_tasks_pending 0\n");
    expect(this.ran()).toEqual(new Map(done.map((id) => [id, 1])));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }

  async #readiness(): Promise<unknown> {
    const { status, body } = await call("GET", `${this.ada.url}/health/ready`);
    return [status, (body as { checks: { database: unknown } }).checks.database];
  }
}

/** The digest of a file without content. */
const EMPTY = new Bun.CryptoHasher("sha256").update("").digest("hex");

/** Something that the disk does, and how it is over again. */
interface Trouble {
  readonly name: string;
  readonly left: boolean;
  readonly detail: string;
  begin(disk: SmallDisk, pid: number): Promise<() => unknown>;
}

const FULL: Trouble = {
  name: "is full",
  left: noDisks !== undefined,
  detail: "database or disk is full",
  async begin(disk) {
    disk.fill();
    return () => disk.free();
  },
};

/** Every write to the database fails like this. A file system with open files cannot be made read-only for a test. */
const failing = (code: string): Trouble => ({
  name: `takes no writes (${code})`,
  left: FULL.left || noStrace !== undefined,
  detail: "disk I/O error",
  async begin(disk, pid) {
    const files = ["artel.db", "artel.db-wal"].flatMap((name) => ["--trace-path", `${disk.path}/data/${name}`]);
    const strace = await Strace.attach(pid, ...files, "--inject", `pwrite64,ftruncate,fallocate:error=${code}`);
    return () => strace[Symbol.asyncDispose]();
  },
});

for (const trouble of [FULL, failing("EROFS"), failing("EIO")]) {
  test.skipIf(trouble.left)(
    `the disk ${trouble.name}: what cannot be stored is refused, all else goes on, and nothing is lost or run twice`,
    async () => {
      await using scene = await Scene.open();
      const { place, ada, view } = scene;
      const held = await ada.submitAll("herald", [{}, {}, {}]);
      for (const id of held) await view.status(id, "in progress");
      const waiting = await ada.submit("quick", { n: 1 }, "?delay=1h");
      const before = new Submitters(ada);
      await before.more("accepted", 200);
      // Were the log begun anew, its file would be room.
      using reader = new Database(scene.place.path(DATA, "artel.db"));
      reader.run("BEGIN");
      reader.query("SELECT count(*) FROM tasks").get();
      await before.more("accepted", 1);
      await before.stop();
      await view.ended(before.accepted);

      const over = await trouble.begin(scene.disk, scene.process.pid);
      const load = new Submitters(ada);
      await load.more("refused", 10);
      await scene.ready([503, { ok: false, detail: trouble.detail }]);
      await scene.refuses(waiting);
      // Running tasks stay in their owner's sight, and run to their end.
      place.write({ speak: "" });
      await view.until(() => held.every((id) => view.tasks.get(id)?.message === "heard"), "progress");
      place.write({ open: "" });
      await eventually(() => (held.every((id) => scene.ran().has(id)) ? true : undefined), "the end of what ran");
      for (const id of held) expect((await ada.task(id)).status).toBe("in progress");

      await over();
      await scene.ready([200, { ok: true }]);
      await load.more("accepted", 50);
      await load.stop();
      await ada.cancel(waiting);
      await scene.accountFor([...held, ...before.accepted, ...load.accepted], [waiting]);
      expect(scene.process.log.filter(({ level }) => level === "error").map(({ error }) => error)).toEqual([trouble.detail]);
      expect((await scene.process.end()).code).toBe(0);
    },
  );
}

const onDisk = test.skipIf(FULL.left);

onDisk("a disk that fills up under load loses nothing, nor does the end of the server on it", async () => {
  await using scene = await Scene.open();
  const load = new Submitters(scene.ada);
  await load.more("accepted", 200);
  scene.disk.fill();
  await load.more("refused", 100);
  await load.stop();
  expect((await scene.process.end()).code).toBe(0);
  scene.disk.free();
  await scene.serve();
  await scene.view.ended(load.accepted);
  expect(scene.view.faults).toEqual([]);
  for (const id of load.accepted) expect([id, scene.view.ends.get(id)]).toEqual([id, 1]);
});

onDisk("a data directory that is moved away is missed, and what it lacks is refused until it is back", async () => {
  await using scene = await Scene.open();
  const waiting = await scene.ada.submit("quick", { n: 1 }, "?delay=1h");
  const load = new Submitters(scene.ada);
  await load.more("accepted", 200);
  renameSync(scene.place.path(DATA), scene.place.path("disk/away"));
  await load.more("refused", 10);
  const detail = `${scene.place.path(DATA)}/artel.db was moved, removed or replaced: put it back, or start again on another`;
  await scene.ready([503, { ok: false, detail }]);
  await scene.refuses(waiting);
  renameSync(scene.place.path("disk/away"), scene.place.path(DATA));
  await scene.ready([200, { ok: true }]);
  await load.more("accepted", 50);
  await load.stop();
  await scene.ada.cancel(waiting);
  await scene.accountFor(load.accepted, [waiting]);
  expect(scene.process.log.filter(({ level }) => level === "error").map(({ error }) => error)).toEqual([detail]);
});

onDisk("a data directory that is removed is missed: nothing is accepted into nowhere", async () => {
  await using scene = await Scene.open();
  const waiting = await scene.ada.submit("quick", { n: 1 }, "?delay=1h");
  rmSync(scene.place.path(DATA), { recursive: true });
  await scene.refuses(waiting);
  const detail = `${scene.place.path(DATA)}/artel.db was moved, removed or replaced: put it back, or start again on another`;
  await scene.ready([503, { ok: false, detail }]);
  expect((await scene.process.end()).code).toBe(0);
  expect(scene.process.log.filter(({ level }) => level === "error").map(({ error }) => error)).toEqual([detail]);
});

/** Exit code 1, one line that says why, and nothing changed but for the folder itself and the lock, a file without content. */
async function expectRefusedStart(place: Place): Promise<void> {
  const contents = (): unknown => {
    const { [place.path(DATA)]: _, [place.path(DATA, "artel.lock")]: lock, ...others } = place.contents();
    expect([undefined, EMPTY]).toContain(lock);
    return others;
  };
  const before = contents();
  const { code, stdout, stderr } = await place.run(["serve", "--port", "0", ...SERVE]);
  expect([code, stdout, lines(stderr)]).toEqual([
    1,
    "",
    [`artel: cannot use the data directory ${place.path(DATA)}: ${FULL.detail}`],
  ]);
  expect(contents()).toEqual(before);
}

onDisk("a first start on a full disk is refused, and leaves nothing half made", async () => {
  await using place = await Place.make();
  using disk = SmallDisk.mount(place.path(DISK), DISK_KIB);
  place.write(TASKS);
  disk.fill();
  await expectRefusedStart(place);
  disk.free();
  const { url } = await place.serve(SERVE);
  await Client.register(url);
});

onDisk("a later start on a full disk is refused, and changes nothing", async () => {
  await using scene = await Scene.open();
  const { place, disk, ada } = scene;
  for (let n = 0; n < 10; n += 1) await ada.submit("quick", { n }, "?delay=1h");
  const tasks = await ada.tasks();
  await scene.process.end();
  disk.fill();
  await expectRefusedStart(place);
  disk.free();
  await scene.serve();
  expect(await ada.tasks()).toEqual(tasks);
});
