import { UsageError } from "../config.ts";
import type { Command } from "./commands.ts";

/**
 * A process for one suspected task, started by the supervisor alone.
 *
 * @param exit ends the process at once
 * @param threadEntry what worker threads start with
 */
export function isolateCommand(exit: () => void, threadEntry: URL): Command {
  return {
    name: "isolate",
    purpose: "run one task in a process of its own",
    usage: "isolate",
    flags: [],
    example: "artel isolate",
    hidden: true,
    async run() {
      if (process.send === undefined) throw new UsageError("artel isolate is for artel serve to call");
      const { runIsolated } = await import("../workers/isolate.ts");
      runIsolated(exit, threadEntry);
      // The supervisor ends it.
      return await new Promise<number>(() => {});
    },
  };
}
