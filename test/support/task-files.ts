/** Task files that the suites write into a folder of their own, by name. */
export const TASK_FILES: Readonly<Record<string, string>> = {
  echo: `
    import { task, t } from "artel";
    export default task({ description: "Gives back what it gets", input: t.Object({ value: t.Unknown() }), retry: 1, run: ({ value }) => value });
  `,
  noop: `
    import { task, t } from "artel";
    export default task({ input: t.Object({ i: t.Optional(t.Integer()) }), run: () => null });
  `,
  strict: `
    import { task, t } from "artel";
    export default task({
      queue: "careful",
      timeout: "30s",
      retry: 2,
      input: t.Object({ count: t.Integer(), name: t.String({ minLength: 1 }), deep: t.Optional(t.Object({ flag: t.Boolean() })) }),
      run: (input) => input,
    });
  `,
  any: `
    import { task, t } from "artel";
    export default task({ input: t.Unknown(), run: (input) => ({ got: input }) });
  `,
  /** Runs until its gate opens, so that tests decide when; heeds the signal. */
  hold: `
    import { task, t } from "artel";
    export default task({
      input: t.Object({ gate: t.String() }),
      retry: 1,
      async run({ gate }, ctx) {
        ctx.progress(0.25, "at the gate");
        const response = await fetch(gate, { signal: ctx.signal });
        return await response.text();
      },
    });
  `,
  /** Reports as fast as it can between its gates, then waits at the last one. */
  steps: `
    import { task, t } from "artel";
    export default task({
      input: t.Object({ steps: t.Integer(), ms: t.Integer(), gate: t.Optional(t.String()), talk: t.Optional(t.Boolean()) }),
      retry: 1,
      async run({ steps, ms, gate, talk }, ctx) {
        const began = Date.now();
        for (let i = 0; i < steps && Date.now() - began < ms; i += 1) {
          ctx.progress(i, steps, "step " + i);
          if (talk) ctx.log.info("step", i);
          await new Promise((resolve) => setTimeout(resolve, 2));
        }
        if (gate) await fetch(gate, { signal: ctx.signal });
        return "walked";
      },
    });
  `,
  broken: `
    import { task, t, TaskError } from "artel";
    export default task({
      input: t.Object({ code: t.Optional(t.String()), message: t.String() }),
      retry: 1,
      run({ code, message }) { throw code ? new TaskError(code, message) : new Error(message); },
    });
  `,
  flaky: `
    import { task, t } from "artel";
    export default task({
      input: t.Object({ until: t.Integer() }),
      retry: { attempts: 4, backoff: 1, maxBackoff: 1 },
      run({ until }, ctx) {
        ctx.log.warn("attempt", ctx.attempt);
        if (ctx.attempt < until) throw new Error("not yet");
        return ctx.attempt;
      },
    });
  `,
  large: `
    import { task, t } from "artel";
    export default task({
      input: t.Object({ bytes: t.Integer(), letter: t.Optional(t.String()), i: t.Optional(t.Integer()) }),
      retry: 1,
      run: ({ bytes, letter = "x" }) => letter.repeat(Math.max(0, Math.floor((bytes - 2) / Buffer.byteLength(letter)))),
    });
  `,
};
