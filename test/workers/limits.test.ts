import { describe, expect, test } from "bun:test";
import { ANNA } from "../support/core.ts";
import { suiteFloor, TaskFiles } from "../support/core-workers.ts";

const files = new TaskFiles({
  polite: `input: t.Object({}), timeout: 60, run: (_, ctx) => ctx.sleep(60_000)`,
  retried: `input: t.Object({}), timeout: 30, retry: { attempts: 2, backoff: 1 }, run: (_, ctx) => ctx.sleep(60_000)`,
  late: `input: t.Object({}), timeout: 30, run: (_, ctx) => new Promise((resolve) => ctx.signal.addEventListener("abort", () => resolve("too late")))`,
  stubborn: `input: t.Object({ mark: t.String() }), timeout: 50, run({ mark: file }, ctx) { ctx.progress(0); mark(file); while (true); }`,
  deaf: `input: t.Object({ mark: t.String() }), timeout: 60_000, run({ mark: file }, ctx) { ctx.progress(0); mark(file); while (true); }`,
  waits: `input: t.Object({}), run(_, ctx) { ctx.progress(0); return ctx.sleep(60_000); }`,
  cleans: `input: t.Object({ mark: t.String() }), async run({ mark: file }, ctx) {
    ctx.progress(0); try { await ctx.sleep(60_000); } finally { mark(file, ctx.signal.reason.reason); } }`,
  neighbour: `input: t.Object({ gate: t.String() }), async run({ gate }, ctx) { await open(ctx, gate); return ctx.attempt; }`,
  idle: `input: t.Object({}), run: () => null`,
});

const floor = await suiteFloor(files, { threads: 2, slots: 4 });

describe("an attempt's limit", () => {
  test("is told by the signal; what comes after it is no result; it counts as an attempt", async () => {
    const [polite, late, retried] = await Promise.all([floor.run("polite"), floor.run("late"), floor.run("retried")]);
    expect(polite).toMatchObject({ status: "failed", attempt: 1, error: { code: "timeout" } });
    expect(late).toMatchObject({ status: "failed", result: null, error: { code: "timeout" } });
    expect(retried).toMatchObject({ status: "failed", attempt: 2, error: { code: "timeout" } });
    expect((polite.finishedAt as number) - (polite.startedAt as number)).toBeGreaterThanOrEqual(60);
  });

  test("ends a busy loop with its thread; who shared it runs again at no cost and ends well", async () => {
    const gate = files.path("gate-limits");
    const neighbours = await Promise.all(Array.from({ length: 4 }, () => floor.started("neighbour", { gate })));
    const [stubborn, cancelled] = await Promise.all([
      floor.begun("stubborn", { mark: files.path("stubborn") }),
      floor.begun("deaf", { mark: files.path("deaf") }),
    ]);
    await floor.core.tasks.cancel(ANNA, cancelled.id);
    expect(await floor.ended(stubborn)).toMatchObject({ status: "failed", attempt: 1, deaths: 0, error: { code: "timeout" } });
    expect(await floor.ended(cancelled)).toMatchObject({ status: "cancelled", attempt: 1 });
    await Bun.write(gate, "");
    for (const neighbour of neighbours) {
      expect(await floor.ended(neighbour)).toMatchObject({ status: "done", attempt: 1, deaths: 0, result: "1" });
      expect(floor.notices.statuses(neighbour.id).filter((status) => status === "done")).toHaveLength(1);
    }
    expect([await files.marks("stubborn"), await files.marks("deaf")]).toEqual(["ran\n", "ran\n"]);
    expect(await floor.run("idle")).toMatchObject({ status: "done" });
  });
});

describe("cancelling", () => {
  test("stops what runs by its signal, whose reason says why; its own cleaning up is done", async () => {
    const [waits, cleans] = await Promise.all([floor.begun("waits"), floor.begun("cleans", { mark: files.path("cleaned") })]);
    for (const { id } of [waits, cleans]) await floor.core.tasks.cancel(ANNA, id);
    for (const task of [waits, cleans])
      expect(await floor.ended(task)).toMatchObject({ status: "cancelled", error: { code: "cancelled" }, attempt: 1 });
    expect(await files.marks("cleaned")).toBe("cancelled");
  });

  test("what has not begun is never run", async () => {
    const gate = files.path("gate-cancel");
    const running = await Promise.all(Array.from({ length: 8 }, () => floor.started("neighbour", { gate })));
    const queued = await floor.submit("stubborn", { mark: files.path("never") });
    expect((await floor.core.tasks.cancel(ANNA, queued.id)).status).toBe("cancelled");
    await Bun.write(gate, "");
    await Promise.all(running.map(floor.ended));
    expect(await files.marks("never")).toBe("");
  });

  test("one after the other, at any moment, each ends once", async () => {
    const tasks = await floor.core.tasks.submitBatch(
      ANNA,
      "idle",
      Array.from({ length: 300 }, () => ({})),
    );
    await Promise.allSettled(tasks.filter((_, i) => i % 2 === 0).map(({ id }) => floor.core.tasks.cancel(ANNA, id)));
    const rows = await Promise.all(tasks.map(floor.ended));
    expect(rows.every(({ status }) => status === "done" || status === "cancelled")).toBe(true);
    expect(rows.filter((_, i) => i % 2 === 1).every(({ status }) => status === "done")).toBe(true);
    expect(floor.core.quotas.total).toBe(0);
  });
});
