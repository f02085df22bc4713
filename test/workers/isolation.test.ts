import { describe, expect, test } from "bun:test";
import { processes } from "../../src/workers/hands.ts";
import { ANNA } from "../support/core.ts";
import { openFloor, suiteFloor, TaskFiles } from "../support/core-workers.ts";

const files = new TaskFiles({
  kills: `input: t.Object({ mark: t.String() }), retry: 5, run({ mark: file }) { mark(file, process.pid + "\\n"); process.kill(process.pid, "SIGKILL"); while (true); }`,
  where: `input: t.Object({}), run(_, ctx) { console.log("here"); ctx.progress(0.5); return { pid: process.pid, attempt: ctx.attempt }; }`,
  floats: `input: t.Object({}), async run(_, ctx) { void Promise.reject("mishap"); await ctx.sleep(60_000); }`,
  exits: `input: t.Object({}), run() { process.exit(7); }`,
  loops: `input: t.Object({ mark: t.String() }), timeout: 60_000, run({ mark: file }, ctx) { ctx.progress(0); mark(file); while (true); }`,
  hangs: `input: t.Object({}), timeout: 50, run: (_, ctx) => ctx.sleep(60_000)`,
  neighbour: `input: t.Object({ gate: t.String() }), async run({ gate }, ctx) { await open(ctx, gate); return "well"; }`,
});

const floor = await suiteFloor(files, { threads: 2, slots: 4 });

describe("a suspected task", () => {
  test("runs in a process of its own, each time another, with logs and progress as everywhere", async () => {
    const rows = [];
    for (let i = 0; i < 2; i += 1) rows.push(await floor.ended(await floor.suspect("where")));
    const pids = rows.map(({ result }) => (JSON.parse(result ?? "") as { pid: number }).pid);
    expect(new Set([...pids, process.pid]).size).toBe(3);
    expect(rows[0]).toMatchObject({ status: "done", deaths: 1, attempt: 1 });
    expect(floor.core.tasks.logs(ANNA, (rows[0] as { id: string }).id).map(({ message }) => message)).toEqual(["here"]);
  });

  test("invariant 6: one that kills its process is poison at the third death, and takes nobody along", async () => {
    const gate = files.path("gate");
    const neighbours = await Promise.all([floor.started("neighbour", { gate }), floor.started("neighbour", { gate })]);
    const row = await floor.ended(await floor.suspect("kills", { mark: files.path("killed") }, 1));
    expect(row).toMatchObject({ status: "failed", deaths: 3, attempt: 1, error: { code: "poison" } });
    expect(new Set((await files.marks("killed")).trim().split("\n")).size).toBe(2);
    await Bun.write(gate, "");
    for (const neighbour of neighbours)
      expect(await floor.ended(neighbour)).toMatchObject({ status: "done", deaths: 0, attempt: 1 });
  });

  test("fails as any other by what it does itself; there it is certain who did it", async () => {
    const [floats, exits, hangs] = await Promise.all([floor.suspect("floats"), floor.suspect("exits"), floor.suspect("hangs")]);
    expect(await floor.ended(floats)).toMatchObject({ status: "failed", deaths: 1, error: { code: "error", message: "mishap" } });
    expect(await floor.ended(exits)).toMatchObject({ status: "failed", deaths: 1, error: { code: "process_exit" } });
    expect(await floor.ended(hangs)).toMatchObject({ status: "failed", deaths: 1, error: { code: "timeout" } });
  });

  test("is cancelled with its process, if need be", async () => {
    const task = await floor.suspect("loops", { mark: files.path("loops") });
    await floor.reported(task);
    await floor.core.tasks.cancel(ANNA, task.id);
    expect(await floor.ended(task)).toMatchObject({ status: "cancelled", deaths: 1 });
    expect(await files.marks("loops")).toBe("ran\n");
  });

  test("is cancelled before its process is ready, at once, and does not run", async () => {
    const task = await floor.suspect("loops", { mark: files.path("not begun") });
    await floor.notices.status(task.id, "in progress");
    const from = Date.now();
    await floor.core.tasks.cancel(ANNA, task.id);
    expect(await floor.ended(task)).toMatchObject({ status: "cancelled" });
    expect(Date.now() - from).toBeLessThan(1_000);
    expect(await files.marks("not begun")).toBe("");
  });

  test("waits where its process cannot be started, at no cost, and runs when it can", async () => {
    let broken = true;
    const kinds = {
      sharesMemory: false,
      start: ((...args) =>
        processes(broken ? ["/no/such/command"] : [process.execPath, `${import.meta.dir}/../support/isolated.ts`]).start(
          ...args,
        )) as ReturnType<typeof processes>["start"],
    };
    await using other = await openFloor(files, { threads: 1, slots: 1, processKind: kinds });
    const task = await other.suspect("where");
    await other.notices.until(() => other.notices.statuses(task.id).filter((status) => status === "queued").length >= 2);
    broken = false;
    expect(await other.ended(task)).toMatchObject({ status: "done", deaths: 1, attempt: 1 });
    expect(other.core.lines.some(({ message }) => message.includes("before it was ready"))).toBe(true);
    expect(other.notices.statuses(task.id).length).toBeLessThan(12);
  });
});
