import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { Place } from "../support/artel-process.ts";
import { Client } from "../support/e2e-client.ts";
import { TASKS } from "../support/e2e-tasks.ts";
import { View } from "../support/e2e-view.ts";
import { LIMIT_MS } from "../support/waiting.ts";

setDefaultTimeout(LIMIT_MS);

/** A file for each kind of trouble: its code, and the failure that its owner must be told of. */
const TROUBLE: Readonly<Record<string, readonly [run: string, code: string, message: RegExp]>> = {
  throws: ['throw new Error("plainly")', "error", /^plainly$/],
  "throws-nothing": ["throw undefined", "error", /./],
  rejects: ['await Promise.reject(new Error("rejected"))', "error", /^rejected$/],
  floats: ['void Promise.reject(new Error("floating")); await ctx.sleep(60_000)', "error", /floating/],
  "throws-later": ['setTimeout(() => { throw new Error("in a timer") }, 1); await ctx.sleep(60_000)', "error", /in a timer/],
  exits: ["process.exit(7)", "process_exit", /process\.exit/],
  "exits-later": ["setTimeout(() => process.exit(), 1); await ctx.sleep(60_000)", "process_exit", /process\.exit/],
  aborts: ["process.abort()", "process_exit", /process\.exit/],
  overflows: ["const f = (): number => 1 + f(); return f()", "error", /call stack/i],
  loops: ["for (;;);", "timeout", /longer than the task allows/],
  "loops-deaf": ["for (;;) { try { await 0 } catch {} }", "timeout", /longer than the task allows/],
  sleeps: ["await new Promise(() => {})", "timeout", /longer than the task allows/],
  large: ['return "x".repeat(9 * 1024 * 1024)', "result_too_large", /over \d+ bytes/],
  cyclic: ["const a: Record<string, unknown> = {}; a.a = a; return a", "error", /not JSON/],
  "big-int": ["return 1n", "error", /not JSON/],
};

const runsOutOfTime = (name: string): boolean => TROUBLE[name]?.[1] === "timeout";

const source = (name: string, run: string): string => `
import { task, t } from "artel";
export default task({ input: t.Object({}), retry: 1, timeout: "${runsOutOfTime(name) ? "1s" : "5m"}", async run(_, ctx) { ${run} } });
`;

describe("trouble in a task", () => {
  test("fails that task with an error that says what, its neighbours end done, and the server stays up", async () => {
    await using place = await Place.make();
    place.write(TASKS);
    place.write(Object.fromEntries(Object.entries(TROUBLE).map(([name, [run]]) => [`tasks/${name}.ts`, source(name, run)])));
    const { process, url } = await place.serve(["--tasks", "tasks", "--threads", "2", "--slots", "8"]);
    const ada = await Client.register(url);
    const view = await View.open(ada);
    const quick = (): Promise<string[]> =>
      ada.submitAll(
        "quick",
        Array.from({ length: 100 }, (_, n) => ({ n })),
      );
    const held = await ada.submitAll("gated", [{ gate: "open" }, { gate: "open" }]);
    const before = await quick();
    const troubled = new Map<string, string>();
    // What holds a thread up comes last: it takes along the time of those beside it.
    for (const late of [false, true]) {
      const names = Object.keys(TROUBLE).filter((name) => runsOutOfTime(name) === late);
      for (const name of names) troubled.set(name, await ada.submit(name));
      if (!late) await view.ended([...troubled.values()]);
    }
    const after = await quick();

    await view.ended([...troubled.values(), ...before, ...after]);
    for (const [name, [, code, message]] of Object.entries(TROUBLE)) {
      const { status, attempt, error } = await ada.task(troubled.get(name) as string);
      expect({ name, status, attempt, code: error?.code }).toEqual({ name, status: "failed", attempt: 1, code });
      expect(error?.message).toMatch(message);
    }
    for (const id of [...before, ...after]) expect(view.tasks.get(id)).toMatchObject({ status: "done", attempt: 1 });
    // Those ran beside all of it, some on threads that were ended.
    place.write({ open: "" });
    await view.ended(held);
    for (const id of held) expect(view.tasks.get(id)).toMatchObject({ status: "done", attempt: 1 });
    await view.ended(await quick());
    expect(view.faults).toEqual([]);
    expect((await fetch(`${url}/health/ready`)).status).toBe(200);
    expect((await process.end()).code).toBe(0);
  });

  test("cancelling ends what heeds the signal, and what does not", async () => {
    await using place = await Place.make();
    place.write(TASKS);
    const { url } = await place.serve(["--tasks", "tasks", "--threads", "2", "--slots", "2"]);
    const ada = await Client.register(url);
    const view = await View.open(ada);
    const heeding = await ada.submit("slow", { ms: 600_000 });
    const busy = await ada.submit("busy");
    await view.status(heeding, "in progress");
    await view.status(busy, "in progress");
    expect(await ada.cancel(heeding)).toMatchObject({ cancel_requested: true });
    await ada.cancel(busy);
    await view.ended([heeding, busy]);
    for (const id of [heeding, busy]) {
      expect(await ada.task(id)).toMatchObject({ status: "cancelled", error: { code: "cancelled" }, result: null });
      expect(await ada.call("POST", `/tasks/${id}/cancel`)).toMatchObject({ status: 409 });
    }
    const id = await ada.submit("quick", { n: 1 });
    await view.ended([id]);
    expect(view.faults).toEqual([]);
  });
});
