import { describe, expect, test } from "bun:test";
import { ANNA } from "../support/core.ts";
import { suiteFloor, TaskFiles } from "../support/core-workers.ts";

const files = new TaskFiles({
  echo: `input: t.Object({ text: t.String(), times: t.Integer({ default: 2 }) }), run: ({ text, times }) => text.repeat(times)`,
  returns: `input: t.Object({ code: t.String() }), run: ({ code }) => (0, eval)(code)`,
  asynchronous: `input: t.Object({}), async run() { await 0; return { ok: true }; }`,
  context: `input: t.Object({}), run: (_, ctx) => ({ id: ctx.task_id, owner: ctx.owner_id, attempt: ctx.attempt, key: ctx.idempotencyKey, aborted: ctx.signal.aborted })`,
  throws: `input: t.Object({ code: t.String() }), retry: { attempts: 3, backoff: 1 }, run: ({ code }) => { throw (0, eval)(code); }`,
  coded: `input: t.Object({}), run: () => { throw new TaskError("no_luck", "try another day"); }`,
  final: `input: t.Object({}), retry: 5, run: () => { throw new NonRetryableError("never", "not in this life"); }`,
  fetches: `input: t.Object({ url: t.String() }), retry: { attempts: 2, backoff: 1 }, run: async ({ url }, ctx) => (await ctx.fetch(url)).status`,
  again: `input: t.Object({}), retry: 2, run: (_, ctx) => ctx.attempt === 1 ? ctx.retryIn(15, "not yet") : "now"`,
  later: `input: t.Object({}), retry: 2, run: (_, ctx) => ctx.retryIn(1e300)`,
  flaky: `input: t.Object({}), retry: { attempts: 3, backoff: 1 }, run: (_, ctx) => { if (ctx.attempt < 3) throw new Error("attempt " + ctx.attempt); return ctx.attempt; }`,
  steps: `input: t.Object({ ms: t.Integer() }), async run({ ms }, ctx) {
    ctx.progress(0, "begins");
    const until = Date.now() + ms;
    for (let i = 0; Date.now() < until; i += 1) { ctx.progress(i, 1e9, "at work"); ctx.log.info(i); await ctx.sleep(1); }
    ctx.progress(0.75, "nearly"); setTimeout(() => ctx.progress(0.99, "late"), 1); return "end"; }`,
  busy: `input: t.Object({}), run(_, ctx) { ctx.progress(0.5, "busy"); const until = Date.now() + 300; while (Date.now() < until); return null; }`,
  shares: `input: t.Object({}), run(_, ctx) { for (const bad of [NaN, Infinity]) { try { ctx.progress(bad); return "taken"; } catch (error) { if (error.name !== "TypeError") throw error; } } ctx.progress(7, 5); return "refused"; }`,
  lines: `input: t.Object({}), async run(_, ctx) { console.log("one", 1, { a: [1] }); console.warn("two"); ctx.log.error("three"); await 0; console.debug("four"); setTimeout(() => console.log("after the end"), 5); return null; }`,
  chatty: `input: t.Object({}), run() { for (let i = 0; i < 5_000; i += 1) console.log("line", i, "x".repeat(i % 2)); return null; }`,
  wide: `input: t.Object({}), run() { for (let i = 0; i < 100; i += 1) console.log("y".repeat(1_000_000)); return null; }`,
});

const floor = await suiteFloor(files, { threads: 1, slots: 16 });
const messages = (id: string): string[] => floor.core.tasks.logs(ANNA, id).map(({ message }) => message);

describe("results", () => {
  test("input comes typed, with its defaults; the result is JSON", async () => {
    expect(await floor.run("echo", { text: "ab" })).toMatchObject({ status: "done", result: '"abab"', progress: 1, attempt: 1 });
    expect(await floor.run("asynchronous")).toMatchObject({ status: "done", result: '{"ok":true}' });
    await expect(floor.submit("echo", { text: 5 })).rejects.toMatchObject({ code: "invalid_input" });
  });

  test("whatever JSON knows", async () => {
    const cases = {
      undefined: "null",
      null: "null",
      "[1, undefined, 'ä\\u2028']": '[1,null,"ä\u2028"]',
      "new Date(0)": '"1970-01-01T00:00:00.000Z"',
      "({ toJSON: () => 5 })": "5",
      "() => 1": "null",
      NaN: "null",
      "Promise.resolve(3)": "3",
    };
    const rows = await Promise.all(Object.keys(cases).map((code) => floor.run("returns", { code })));
    expect(rows.map(({ result }) => result)).toEqual(Object.values(cases));
  });

  test("what is no JSON fails the task for good", async () => {
    for (const code of ["10n", "const a = {}; a.a = a; a", "({ toJSON() { throw new Error('no') } })"]) {
      const row = await floor.run("returns", { code });
      expect(row).toMatchObject({ status: "failed", attempt: 1, error: { code: "error" } });
      expect(row.error?.message).toStartWith("the result is not JSON");
    }
  });

  test("over 8 MiB of JSON is result_too_large, by bytes; just below is kept", async () => {
    const limit = 8 * 1024 * 1024;
    const [large, wide, fits] = await Promise.all([
      floor.run("returns", { code: `"x".repeat(${limit})` }),
      floor.run("returns", { code: `"ä".repeat(${limit / 2})` }),
      floor.run("returns", { code: `"x".repeat(${limit - 2})` }),
    ]);
    expect(large).toMatchObject({ status: "failed", result: null, error: { code: "result_too_large" } });
    expect(wide).toMatchObject({ status: "failed", error: { code: "result_too_large" } });
    expect([fits?.status, fits?.result?.length]).toEqual(["done", limit]);
  });

  test("the context says whose it is", async () => {
    const row = await floor.run("context");
    expect(JSON.parse(row.result ?? "")).toEqual({ id: row.id, owner: "anna", attempt: 1, key: row.id, aborted: false });
  });
});

describe("failures", () => {
  test("a task's own code is told; one that may not be retried is not; retryIn waits and tries again", async () => {
    expect(await floor.run("coded")).toMatchObject({ status: "failed", error: { code: "no_luck", message: "try another day" } });
    expect(await floor.run("final")).toMatchObject({ status: "failed", attempt: 1, error: { code: "never" } });
    const again = await floor.run("again");
    expect(again).toMatchObject({ status: "done", attempt: 2, result: '"now"' });
    expect(floor.notices.statuses(again.id)).toEqual(["queued", "in progress", "retrying", "queued", "in progress", "done"]);
    expect(await floor.run("flaky")).toMatchObject({ status: "done", attempt: 3, result: "3", error: null });
  });

  test("of ctx.fetch: what is refused is refused for good, what may come right is tried again", async () => {
    const failed = { status: "failed", error: { code: "fetch_failed" } };
    for (const url of ["ftp://example.com/", "http://127.0.0.1/"])
      expect(await floor.run("fetches", { url })).toMatchObject({ ...failed, attempt: 1 });
    expect(await floor.run("fetches", { url: "http://nowhere.invalid/" })).toMatchObject({ ...failed, attempt: 2 });
  });

  test("whatever is thrown becomes a code and a message of bounded length, and nothing else", async () => {
    const cases: Record<string, string | RegExp> = {
      "new Error('plain')": "plain",
      "new TypeError('')": "TypeError",
      "'a string'": "a string",
      undefined: "undefined",
      null: "null",
      "({ a: 1 })": /a: 1/,
      "Symbol('s')": /Symbol/,
      "Object.assign(new Error('upper'), { code: 'ENOENT' })": "upper",
      "Object.assign(new Error('x'), { message: { deep: 1 } })": /./,
      "Object.assign(new Error('x'), { message: 10n })": /./,
      "new Error('m'.repeat(100000))": /^m{2000}…$/,
      "new (class extends Error { get message() { throw new Error('mean') } })()": /./,
      "Object.defineProperty(new Error('x'), 'code', { get() { throw new Error('mean') } })": /./,
      "new Proxy({}, { get() { throw new Error('mean') }, getPrototypeOf() { throw new Error('mean') }, ownKeys() { throw new Error('mean') } })":
        /./,
      "new Proxy(new Error('p'), { get() { throw new Error('mean') } })": /./,
    };
    const rows = await Promise.all(Object.keys(cases).map((code) => floor.run("throws", { code })));
    for (const [i, [code, expected]] of Object.entries(cases).entries()) {
      expect([code, rows[i]?.status, rows[i]?.attempt, rows[i]?.error?.code]).toEqual([code, "failed", 3, "error"]);
      expect(rows[i]?.error?.message).toMatch(expected);
    }
  });

  test("a wait of any length is stored as a time that can be told", async () => {
    const { id } = await floor.submit("later");
    const { runAt } = await floor.notices.status(id, "retrying");
    expect(new Date(runAt).getUTCFullYear() - new Date().getUTCFullYear()).toBeLessThan(3);
    expect((await floor.core.tasks.cancel(ANNA, id)).status).toBe("cancelled");
  });
});

describe("progress", () => {
  const told = (id: string) =>
    floor.notices.all.filter(({ task, kind }) => task.id === id && kind === "progress").map(({ task }) => task);

  test("the first at once, then at most ten a second even where the task logs as well, none after the end", async () => {
    const row = await floor.run("steps", { ms: 1_000 });
    await floor.run("asynchronous");
    const reports = told(row.id);
    expect(reports[0]).toMatchObject({ progress: 0, message: "begins" });
    expect(reports.length).toBeGreaterThan(3);
    expect(reports.length).toBeLessThanOrEqual(12);
    const ended = floor.notices.all.findIndex(({ task }) => task.id === row.id && task.status === "done");
    expect(floor.notices.all.slice(ended + 1).some(({ task }) => task.id === row.id)).toBe(false);
    expect(row).toMatchObject({ progress: 1, result: '"end"' });
  });

  test("of a task that lets no turn come, too", async () => {
    const { id } = await floor.submit("busy");
    await floor.notices.until(() => told(id).length > 0);
    expect(floor.notices.statuses(id)).toEqual(["queued", "in progress"]);
    await floor.notices.ended(id);
    expect(told(id)).toMatchObject([{ progress: 0.5, message: "busy" }]);
  });

  test("is a share from 0 to 1; what is no number is refused", async () => {
    const row = await floor.run("shares");
    expect(row.result).toBe('"refused"');
    expect(told(row.id).map(({ progress }) => progress)).toEqual([1]);
  });
});

describe("logs", () => {
  test("console and ctx.log go to the task's log, with their level and in order, until it ends", async () => {
    const row = await floor.run("lines");
    await floor.run("asynchronous");
    expect(messages(row.id)).toEqual(["one 1 {\n  a: [ 1 ],\n}", "two", "three", "four"]);
    expect(floor.core.tasks.logs(ANNA, row.id).map(({ level }) => level)).toEqual(["info", "warn", "error", "debug"]);
  });

  test("are bounded in lines and in length", async () => {
    const [many, wide] = await Promise.all([floor.run("chatty"), floor.run("wide")]);
    const lines = messages((many as { id: string }).id);
    expect([lines.length, lines[999]?.trim(), lines[1_000]]).toEqual([
      1_001,
      "line 999 x",
      "the log is full: later lines are dropped",
    ]);
    const long = messages((wide as { id: string }).id);
    expect(Math.max(...long.map(({ length }) => length))).toBeLessThanOrEqual(8 * 1024 + 1);
    expect(long.join("").length).toBeLessThan(300 * 1024);
  });
});
