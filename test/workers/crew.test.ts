import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { threadId } from "node:worker_threads";
import type { StoredTask } from "../../src/ports/tasks.ts";
import type { FromThread } from "../../src/workers/messages.ts";
import { type Hand, type HandKind, SlotWorker } from "../../src/workers/slot-worker.ts";
import { SlotTable } from "../../src/workers/slots.ts";
import { ANNA } from "../support/core.ts";
import { openFloor, TaskFiles, THREADS } from "../support/core-workers.ts";
import { eventually } from "../support/waiting.ts";

// The preload's limit holds for the first file of a run only.
setDefaultTimeout(30_000);

const files = new TaskFiles({
  idle: `input: t.Object({}), run: () => null`,
  thread: `input: t.Object({}), run: async () => (await import("node:worker_threads")).threadId`,
  holds: `input: t.Object({ gate: t.String() }), async run({ gate }, ctx) { await open(ctx, gate); return (await import("node:worker_threads")).threadId; }`,
  busy: `input: t.Object({ gate: t.String() }), timeout: 60_000, run({ gate }, ctx) { ctx.progress(0); while (!existsSync(gate)); return null; }`,
});
afterAll(() => files[Symbol.dispose]());

interface Watched extends HandKind {
  readonly hands: Hand[];
  readonly ended: number;
}

/** Real threads whose messages and ends are seen, and may be changed, on the way. */
function watched(change: (message: FromThread) => FromThread = (message) => message): Watched {
  const hands: Hand[] = [];
  let ended = 0;
  return {
    hands,
    get ended() {
      return ended;
    },
    sharesMemory: true,
    start(init, onMessage, onEnd) {
      const hand = THREADS.start(
        init,
        (text) => onMessage(JSON.stringify(change(JSON.parse(text) as FromThread))),
        () => {
          ended += 1;
          onEnd();
        },
      );
      hands.push(hand);
      return hand;
    },
  };
}

/** Of which the one that ends the next job after `bloat` says that its heap is too large. */
function bloatedOnce(): { readonly kind: Watched; bloat(): void } {
  let bloated = false;
  const kind = watched((message) => {
    if (!bloated || message.kind !== "report" || message.ended.length === 0) return message;
    bloated = false;
    return { ...message, heapBytes: 2 ** 31 };
  });
  return {
    kind,
    bloat: () => {
      bloated = true;
    },
  };
}

describe("threads", () => {
  test("2,000 tasks on two of them end once each", async () => {
    await using floor = await openFloor(files, { threads: 2, slots: 32 });
    const tasks = [
      ...(await floor.core.tasks.submitBatch(
        ANNA,
        "idle",
        Array.from({ length: 1_000 }, () => ({})),
      )),
      ...(await floor.core.tasks.submitBatch(
        ANNA,
        "idle",
        Array.from({ length: 1_000 }, () => ({})),
      )),
    ];
    const all = new Set(tasks.map(({ id }) => id));
    const ends: string[] = [];
    await floor.notices.until(() => floor.core.quotas.total === 0);
    for (const { task } of floor.notices.all) if (task.status === "done") ends.push(task.id);
    expect(ends).toHaveLength(2_000);
    expect(new Set(ends)).toEqual(all);
    expect(floor.core.db.query("SELECT count(*) AS n FROM tasks WHERE attempt = 1 AND fence = 1 AND deaths = 0").get()).toEqual({
      n: 2_000,
    });
  });

  test("share the work, and none of it runs in the main one", async () => {
    await using floor = await openFloor(files, { threads: 2, slots: 2 });
    const gate = files.path("share");
    const tasks = await Promise.all(Array.from({ length: 4 }, () => floor.submit("holds", { gate })));
    await floor.notices.until(() => tasks.every(({ id }) => floor.notices.statuses(id).includes("in progress")));
    await Bun.write(gate, "");
    const ran = await Promise.all(tasks.map(async (task) => (await floor.ended(task)).result));
    expect(new Set(ran).size).toBe(2);
    expect(ran).not.toContain(String(threadId));
  });

  test("a job that waits behind a busy one goes to a free thread", async () => {
    await using floor = await openFloor(files, { threads: 2, slots: 8 });
    const [gate, hold] = [files.path("busy"), files.path("hold")];
    // Both are up, or all of it would go to the first.
    const warm = await Promise.all(Array.from({ length: 16 }, () => floor.submit("holds", { gate: hold })));
    await Bun.write(hold, "");
    await Promise.all(warm.map(floor.ended));
    const busy = await floor.begun("busy", { gate });
    const others = await floor.core.tasks.submitBatch(
      ANNA,
      "idle",
      Array.from({ length: 14 }, () => ({})),
    );
    for (const other of others) expect(await floor.ended(other)).toMatchObject({ status: "done", attempt: 1, fence: 1 });
    expect(floor.core.store.get(busy.id)?.status).toBe("in progress");
    await Bun.write(gate, "");
    expect(await floor.ended(busy)).toMatchObject({ status: "done" });
  });

  test("one that is ended from outside says so, however busy: its jobs are not forgotten", async () => {
    const kind = watched();
    await using floor = await openFloor(files, { threads: 1, slots: 4, threadKind: kind });
    const [gate, hold] = [files.path("outside"), files.path("outside-hold")];
    const first = await floor.started("holds", { gate: hold });
    const busy = await floor.begun("busy", { gate });
    const behind = await floor.submit("idle");
    kind.hands[0]?.kill();
    await Bun.write(gate, "");
    await Bun.write(hold, "");
    for (const task of [first, busy, behind]) expect(await floor.ended(task)).toMatchObject({ status: "done", attempt: 1 });
    expect(kind.ended).toBeGreaterThanOrEqual(1);
    // Begun when the thread died of something unknown: to be run alone from then on. Not begun: never to blame.
    expect(floor.core.store.get(busy.id)?.deaths).toBe(1);
    expect(floor.core.store.get(behind.id)?.deaths).toBe(0);
  });

  test("a bloated one is replaced between jobs; nothing that runs there is lost", async () => {
    const { kind, bloat } = bloatedOnce();
    await using floor = await openFloor(files, { threads: 1, slots: 4, threadKind: kind });
    bloat();
    const gate = files.path("recycle");
    const held = await floor.started("holds", { gate });
    await floor.run("idle");
    const waiting = await floor.submit("thread");
    expect(kind.ended).toBe(0);
    await Bun.write(gate, "");
    expect(await floor.ended(held)).toMatchObject({ status: "done", attempt: 1, deaths: 0 });
    expect(await floor.ended(waiting)).toMatchObject({ status: "done", fence: 1 });
    await eventually(() => (kind.ended === 1 ? true : undefined), "the end of the first thread");
    expect(kind.hands).toHaveLength(2);
  });

  test("a bloated one is replaced also while an old one still runs the code from before", async () => {
    const { kind, bloat } = bloatedOnce();
    await using floor = await openFloor(files, { threads: 1, slots: 4, threadKind: kind });
    const gate = files.path("bloated-beside");
    const held = await floor.started("holds", { gate });
    floor.supervisor.renew(await files.sources());
    await floor.run("idle");
    bloat();
    await floor.run("idle");
    await eventually(() => kind.ended === 1 || undefined, "the end of the bloated thread");
    expect(await floor.run("idle")).toMatchObject({ status: "done", attempt: 1 });
    expect(kind.hands).toHaveLength(3);
    await Bun.write(gate, "");
    expect(await floor.ended(held)).toMatchObject({ status: "done", attempt: 1, deaths: 0 });
  });

  test("one that ends before it is ready is started again, and the work waits for it", async () => {
    const real = watched();
    let broken = true;
    const kind: HandKind = {
      sharesMemory: true,
      start(...args) {
        const hand = real.start(...args);
        if (broken) setImmediate(() => hand.kill());
        broken = false;
        return hand;
      },
    };
    await using floor = await openFloor(files, { threads: 1, threadKind: kind });
    expect(await floor.run("idle")).toMatchObject({ status: "done", attempt: 1, deaths: 0 });
    expect(real.hands).toHaveLength(2);
  });

  test("a claim that fails is tried again", async () => {
    await using floor = await openFloor(files, { threads: 1 });
    await floor.run("idle");
    const claim = floor.core.hub.claim.bind(floor.core.hub);
    let failures = 2;
    floor.core.hub.claim = (request) => {
      failures -= 1;
      return failures >= 0 ? Promise.reject(new Error("out of reach")) : claim(request);
    };
    expect(await floor.run("idle")).toMatchObject({ status: "done" });
    expect(failures).toBeLessThan(0);
  });

  test("that are being renewed when a drain begins are not: new ones would claim by themselves", async () => {
    let ready = 0;
    const kind = watched((message) => {
      if (message.kind === "ready") ready += 1;
      return message;
    });
    await using floor = await openFloor(files, { threads: 3, slots: 1, threadKind: kind });
    const gate = files.path("drained");
    const tasks = await Promise.all([1, 2, 3].map(() => floor.started("holds", { gate })));
    floor.supervisor.renew(await files.sources());
    const stopped = floor.supervisor.stop(Date.now() + 20_000);
    await eventually(() => ready === 4 || undefined, "the first of the new ones");
    files.open("drained");
    await stopped;
    for (const task of tasks) expect(await floor.ended(task)).toMatchObject({ status: "done" });
    expect(kind.hands).toHaveLength(4);
  });

  describe("renewed while long tasks run there", () => {
    /** One thread that serves, and beside it as many as may be ending with what they run; `gates` lets each end. */
    async function full(kind: Watched, name: string) {
      const floor = await openFloor(files, { threads: 1, slots: 2, threadKind: kind });
      const sources = await files.sources();
      const gates: string[] = [];
      const tasks: StoredTask[] = [];
      const hold = async (): Promise<void> => {
        gates.push(`${name}-${gates.length}`);
        tasks.push(await floor.started("holds", { gate: files.path(gates.at(-1) as string) }));
      };
      for (let i = 0; i < 3; i += 1) {
        await hold();
        floor.supervisor.renew(sources);
      }
      await hold();
      expect([kind.hands.length, kind.ended]).toEqual([4, 0]);
      const said = (words: string) => floor.core.lines.filter(({ message }) => message.includes(words));
      return { floor, sources, gates, tasks, said };
    }

    test("they do not pile up: what comes waits until one has ended, and the latest of it is taken up", async () => {
      const kind = watched();
      const { floor, sources, gates, tasks, said } = await full(kind, "piled");
      await using _ = floor;
      expect(said("a change of the task files waits")).toEqual([]);
      for (let i = 0; i < 20; i += 1)
        floor.supervisor.renew(i < 19 ? [] : sources.filter(({ policy }) => policy.name !== "idle"));
      expect(kind.hands).toHaveLength(4);
      expect(said("a change of the task files waits")).toHaveLength(20);
      // Whoever serves goes on as it is.
      expect(await floor.run("idle")).toMatchObject({ status: "done", attempt: 1 });
      files.open(gates[1] as string);
      await eventually(() => kind.hands.length === 5 || undefined, "the next thread");
      expect([kind.ended, said("is taken up").length]).toEqual([1, 1]);
      const ran = await floor.run("thread");
      const gone = await floor.submit("idle");
      expect(ran).toMatchObject({ status: "done", attempt: 1 });
      for (const gate of gates) files.open(gate);
      for (const task of tasks) expect(await floor.ended(task)).toMatchObject({ status: "done", attempt: 1, deaths: 0 });
      await eventually(() => kind.ended === 4 || undefined, "the end of all old threads");
      expect([kind.hands.length, floor.core.store.get(gone.id)?.status]).toEqual([5, "queued"]);
      // There is room again.
      floor.supervisor.renew(sources);
      expect(await floor.ended(gone)).toMatchObject({ status: "done" });
      expect([kind.hands.length, said("a change of the task files waits").length]).toEqual([6, 20]);
    });

    test("a drain takes up nothing that waits", async () => {
      const kind = watched();
      const { floor, sources, gates, tasks, said } = await full(kind, "drain-full");
      await using _ = floor;
      floor.supervisor.renew(sources);
      const stopped = floor.supervisor.stop(Date.now() + 20_000);
      for (const gate of gates) files.open(gate);
      await stopped;
      for (const task of tasks) expect(await floor.ended(task)).toMatchObject({ status: "done" });
      expect([kind.hands.length, said("is taken up").length]).toEqual([4, 0]);
    });
  });

  test("one that wears out while it is quieted says so to whoever waits for that", async () => {
    const { promise: ready, resolve } = Promise.withResolvers<void>();
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    const nobody = { report() {}, line() {} };
    const init = { sources: await files.sources(), allowPrivateHosts: false, slots: 1, atOnce: 1 };
    const worker = new SlotWorker(THREADS, init, { ...nobody, ready: () => resolve(), ended: () => end() });
    await ready;
    const quiet = worker.quiet();
    worker.retire();
    await quiet;
    await ended;
    expect(worker.alive).toBe(false);
  });

  test("leave nothing behind: opened and stopped again and again, every thread ends", async () => {
    const kind = watched();
    for (let i = 0; i < 4; i += 1) {
      await using floor = await openFloor(files, { threads: 2, slots: 2, threadKind: kind });
      await floor.run("idle");
    }
    const deadline = Date.now() + 5_000;
    while (kind.ended < kind.hands.length && Date.now() < deadline) await new Promise((resolve) => setImmediate(resolve));
    expect(kind.ended).toBe(kind.hands.length);
  });
});

describe("a slot", () => {
  test("is either begun or taken back, never both", () => {
    const table = new SlotTable(2);
    const thread = new SlotTable(2, table.buffer);
    const first = table.assign(0);
    expect(table.revoke(0, first)).toBe(true);
    expect(thread.begin(0, 5)).toBe(false);
    expect(table.hasBegun(0, first)).toBe(false);
    table.free(0);
    const second = table.assign(0);
    expect(thread.begin(0, 7)).toBe(true);
    expect([table.revoke(0, second), table.begunAt(0, second), table.hasBegun(0, second)]).toEqual([false, 7, true]);
  });

  test("whose job is over but unheard of has begun, cannot be taken back, and has no more limit", () => {
    const table = new SlotTable(1);
    const turn = table.assign(0);
    table.begin(0, 7);
    table.end(0);
    expect([table.hasBegun(0, turn), table.begunAt(0, turn), table.revoke(0, turn)]).toEqual([true, undefined, false]);
    table.free(0);
    expect(table.hasBegun(0, turn)).toBe(false);
  });

  test("does not take its next job for the last", () => {
    const table = new SlotTable(1);
    const first = table.assign(0);
    table.free(0);
    const second = table.assign(0);
    expect(table.revoke(0, first)).toBe(false);
    expect(table.begin(0, 7)).toBe(true);
    expect([table.begunAt(0, first), table.hasBegun(0, first), table.begunAt(0, second)]).toEqual([undefined, false, 7]);
  });
});
