/** Task files for tests of the executable, by path in a place; `effects` is where some leave a line for each run. */
const file = (options: string, run: string, head = ""): string => `
import { task, t, TaskError } from "artel";
import { appendFileSync, existsSync, writeFileSync } from "node:fs";
${head}
const effect = (id: string) => appendFileSync(import.meta.dir + "/../effects", id + "\\n");
export default task({ ${options}, ${run} });
`;

export const EFFECTS = "effects";

export const TASKS: Readonly<Record<string, string>> = {
  "tasks/quick.ts": file(
    "input: t.Object({ n: t.Integer() }), retry: 1",
    "run: ({ n }, ctx) => { effect(ctx.task_id); return n * 2; }",
  ),
  /** Takes its time and heeds the signal. */
  "tasks/slow.ts": file(
    "input: t.Object({ ms: t.Integer() }), retry: 1",
    `async run({ ms }, ctx) {
      ctx.progress(0.5, "half way");
      await ctx.sleep(ms);
      effect(ctx.task_id);
      return "slept";
    }`,
  ),
  "tasks/failing.ts": file(
    "input: t.Object({ n: t.Integer() }), retry: 1",
    'run({ n }) { throw new TaskError("no_luck", "no luck with " + n); }',
  ),
  "tasks/retrying.ts": file(
    "input: t.Object({ until: t.Integer() }), retry: { attempts: 4, backoff: 2, maxBackoff: 5 }",
    'run({ until }, ctx) { if (ctx.attempt < until) throw new Error("not yet"); return ctx.attempt; }',
  ),
  /** Runs until a file of this name is in the place; heeds the signal. */
  "tasks/gated.ts": file(
    "input: t.Object({ gate: t.String() }), retry: 1",
    `async run({ gate }, ctx) {
      while (!existsSync(import.meta.dir + "/../" + gate)) await ctx.sleep(10);
      effect(ctx.task_id);
      return "through";
    }`,
  ),
  /** Writes lines and reports progress all the while. */
  "tasks/talking.ts": file(
    "input: t.Object({ n: t.Integer() }), retry: 1",
    `async run({ n }, ctx) {
      for (let i = 0; i < n; i += 1) {
        ctx.progress(i, n, "word " + i);
        ctx.log.info("word", i);
        await ctx.sleep(10);
      }
      effect(ctx.task_id);
      return "said " + n;
    }`,
  ),
  /** Heeds nothing but the end of its thread or process. */
  "tasks/busy.ts": file("input: t.Object({}), retry: 1", "run() { for (;;); }"),
  /** Kills the process that it runs in, the first time. */
  "tasks/mortal.ts": file(
    "input: t.Object({}), retry: 1",
    `run(_, ctx) {
      const mark = import.meta.dir + "/../died-" + ctx.task_id;
      if (existsSync(mark)) return "survived";
      writeFileSync(mark, "");
      process.kill(process.pid, "SIGKILL");
    }`,
  ),
  /** Kills the process that it runs in, each time. */
  "tasks/killer.ts": file(
    "input: t.Object({}), retry: 1",
    'run(_, ctx) { effect(ctx.task_id); process.kill(process.pid, "SIGKILL"); }',
  ),
};
