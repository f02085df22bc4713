import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Floor, openFloor, TaskFiles } from "../support/core-workers.ts";

/** Ways in which a task's own code goes wrong behind its own back; each one then waits, as if nothing were. */
const MISHAPS: Readonly<Record<string, string>> = {
  "process.exit": `process.exit(3)`,
  "process.exit, later": `setTimeout(() => process.exit(3), 1)`,
  "process.abort": `process.abort()`,
  "setTimeout": `setTimeout(() => { throw new Error("mishap") }, 1)`,
  "setImmediate": `setImmediate(() => { throw new Error("mishap") })`,
  "setInterval": `const timer = setInterval(() => { clearInterval(timer); throw new Error("mishap") }, 1)`,
  "nextTick": `process.nextTick(() => { throw new Error("mishap") })`,
  "queueMicrotask": `queueMicrotask(() => { throw new Error("mishap") })`,
  "a floating rejection": `void Promise.reject(new Error("mishap"))`,
  "a floating async function": `void (async () => { await 0; throw new Error("mishap") })()`,
  "an event emitter": `const e = new (require("node:events").EventEmitter)(); setTimeout(() => e.emit("error", new Error("mishap")), 1)`,
  "a stack overflow": `(function deeper() { deeper(); deeper(); })()`,
  "a stack overflow, later": `setTimeout(function deeper() { deeper(); deeper(); }, 1)`,
};

const files = new TaskFiles({
  mishap: `input: t.Object({ code: t.String(), gate: t.String() }), async run({ code, gate }, ctx) {
    new Function("require", code)(require); await open(ctx, gate); return "nothing happened"; }`,
  neighbour: `input: t.Object({ gate: t.String() }), async run({ gate }, ctx) { await open(ctx, gate); return "well"; }`,
  parting: `input: t.Object({ gate: t.String() }), run({ gate }) {
    void (async () => { while (!existsSync(gate)) await Bun.sleep(1); throw new Error("of one that has ended"); })(); return "left"; }`,
  idle: `input: t.Object({}), run: () => null`,
});
/** The same code as the neighbour's, so that a stack names both. */
const NEVER = "never";

let floor: Floor;
beforeAll(async () => {
  floor = await openFloor(files, { threads: 1, slots: 16 });
});
afterAll(async () => {
  await floor[Symbol.asyncDispose]();
  files[Symbol.dispose]();
});

describe("a mishap fails its own task and reaches nobody else", () => {
  for (const [name, code] of Object.entries(MISHAPS)) {
    test(name, async () => {
      const gate = files.path(`gate-${Bun.hash(name)}`);
      const neighbours = await Promise.all([floor.started("neighbour", { gate }), floor.started("neighbour", { gate })]);
      const row = await floor.run("mishap", { code, gate: files.path(NEVER) });
      expect(row).toMatchObject({ status: "failed", attempt: 1 });
      expect(row.error?.code).toBe(name.startsWith("process.") ? "process_exit" : "error");
      await Bun.write(gate, "");
      for (const neighbour of neighbours) expect(await floor.ended(neighbour)).toMatchObject({ status: "done", attempt: 1, result: '"well"' });
    });
  }

  test("of a task that has ended already: who still runs is not blamed, also where it is the only one", async () => {
    const gate = files.path("gate-parting");
    const wait = files.path("gate-waiting");
    expect(await floor.run("parting", { gate })).toMatchObject({ status: "done", result: '"left"' });
    const others = await Promise.all([floor.started("neighbour", { gate: wait })]);
    await Bun.write(gate, "");
    // The error comes up on the neighbour's thread; wherever it runs from then on, it ends well.
    await floor.notices.until(() => floor.notices.statuses((others[0] as { id: string }).id).length >= 3 || floor.core.lines.some(({ message }) => message.includes("of one that has ended")));
    await Bun.write(wait, "");
    for (const other of others) expect(await floor.ended(other)).toMatchObject({ status: "done", attempt: 1 });
  });

  test("the thread lives on, and nothing of it went to the service's own log as a task's", async () => {
    expect(await floor.run("idle")).toMatchObject({ status: "done" });
    expect(floor.core.lines.filter(({ message }) => message.includes("before it was ready"))).toEqual([]);
  });
});
