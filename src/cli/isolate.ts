import type { Command } from "./commands.ts";

/** A process for one suspected task, started by the supervisor alone. */
export function isolateCommand(exit: () => void): Command {
  return {
    name: "isolate",
    purpose: "run one task in a process of its own",
    usage: "isolate",
    flags: [],
    example: "artel isolate",
    hidden: true,
    async run() {
      const { runIsolated } = await import("../workers/isolate.ts");
      runIsolated(exit);
      // The supervisor ends it.
      return await new Promise<number>(() => {});
    },
  };
}
