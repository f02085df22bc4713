/**
 * Runs tasks whose code goes wrong behind its own back, each beside two others on the same thread, and prints what
 * became of them as JSON. A process of its own: inside `bun test`, the runner takes threads' uncaught errors for its own.
 */
import { openFloor, TaskFiles } from "./core-workers.ts";

/** Ways to go wrong; after each of them the task waits, as if nothing were. */
export const MISHAPS: Readonly<Record<string, string>> = {
  exit: `process.exit(3)`,
  "exit, later": `setTimeout(() => process.exit(3), 1)`,
  abort: `process.abort()`,
  setTimeout: `setTimeout(() => { throw new Error("mishap") }, 1)`,
  setImmediate: `setImmediate(() => { throw new Error("mishap") })`,
  setInterval: `const timer = setInterval(() => { clearInterval(timer); throw new Error("mishap") }, 1)`,
  nextTick: `process.nextTick(() => { throw new Error("mishap") })`,
  queueMicrotask: `queueMicrotask(() => { throw new Error("mishap") })`,
  "floating rejection": `void Promise.reject(new Error("mishap"))`,
  "floating rejection of no error": `void Promise.reject("mishap")`,
  "floating async function": `void (async () => { await 0; throw new Error("mishap") })()`,
  "floating rejection, later": `void (async () => { await Bun.sleep(2); throw new Error("mishap") })()`,
  "event emitter": `const e = new EventEmitter(); setTimeout(() => e.emit("error", new Error("mishap")), 1)`,
  "mean error": `setTimeout(() => { throw new Proxy({}, { get() { throw new Error("mean") }, getPrototypeOf() { throw new Error("mean") } }) }, 1)`,
  "stack overflow": `(function deeper() { deeper(); deeper(); })()`,
  "stack overflow, later": `setTimeout(function deeper() { deeper(); deeper(); }, 1)`,
};

export interface Fate {
  readonly status: string;
  readonly attempt: number;
  readonly code: string | undefined;
  readonly neighbours: readonly { readonly status: string; readonly attempt: number; readonly result: string | null }[];
}

export interface Report {
  readonly fates: Readonly<Record<string, Fate>>;
  /** Who still ran when an error of a task came up that had ended. */
  readonly innocent: { readonly status: string; readonly attempt: number };
  /** Lines that came from no task. */
  readonly lines: readonly string[];
}

async function main(): Promise<void> {
  const branches = Object.entries(MISHAPS).map(([name, code]) => `if (which === ${JSON.stringify(name)}) { ${code}; }`);
  using files = new TaskFiles({
    mishap: `input: t.Object({ which: t.String() }), async run({ which }, ctx) {
      const { EventEmitter } = await import("node:events");
      ${branches.join("\n")}
      await open(ctx, "/never"); }`,
    neighbour: `input: t.Object({ gate: t.String() }), async run({ gate }, ctx) { await open(ctx, gate); return "well"; }`,
    parting: `input: t.Object({ gate: t.String(), leave: t.Boolean() }), async run({ gate, leave }, ctx) {
      if (!leave) { await open(ctx, gate); return "stayed"; }
      void (async () => { while (!existsSync(gate + "-error")) await Bun.sleep(1); throw new Error("of one that has ended"); })();
      return "left"; }`,
  });
  await using floor = await openFloor(files, { threads: 1, slots: 16 });
  const fates: Record<string, Fate> = {};
  for (const which of Object.keys(MISHAPS)) {
    const gate = files.path(`gate-${Object.keys(fates).length}`);
    const neighbours = [await floor.started("neighbour", { gate }), await floor.started("neighbour", { gate })];
    const mishap = await floor.started("mishap", { which });
    // Ended, or to run again by itself, as its neighbours are where any of them could have been it.
    await floor.notices.until(() => floor.notices.statuses(mishap.id).length > 2);
    await Bun.write(gate, "");
    const { status, attempt, error } = await floor.ended(mishap);
    fates[which] = { status, attempt, code: error?.code, neighbours: await Promise.all(neighbours.map(floor.ended)) };
  }
  const gate = files.path("parting");
  await floor.run("parting", { gate, leave: true });
  const stays = await floor.started("parting", { gate, leave: false });
  await Bun.write(`${gate}-error`, "");
  // It comes up as a line, or as what it made of the other.
  const seen = () =>
    floor.core.lines.some(({ message }) => message.includes("has ended")) || floor.notices.statuses(stays.id).length > 2;
  while (!seen()) await Bun.sleep(1);
  await Bun.write(gate, "");
  const report: Report = { fates, innocent: await floor.ended(stays), lines: floor.core.lines.map(({ message }) => message) };
  console.log(JSON.stringify(report));
}

if (import.meta.main) {
  await main();
  process.exit(0);
}
