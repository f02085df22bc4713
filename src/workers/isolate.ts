/**
 * A process of its own for one suspected task after another: what kills it takes nothing else along. It speaks with
 * its supervisor over the parent's channel.
 */
import { hostTasks } from "./host.ts";
import type { FromThread, ThreadInit, ToThread } from "./messages.ts";
import { SlotTable } from "./slots.ts";

/**
 * Runs until the supervisor goes away or kills it.
 *
 * @param exit ends the process; the tasks' own process.exit is taken away from them
 */
export function runIsolated(exit: () => void): void {
  const send = (message: FromThread): void => {
    process.send?.(JSON.stringify(message));
  };
  process.once("message", (text: string) => {
    const init = JSON.parse(text) as Omit<ThreadInit, "table">;
    // The parent cannot see this memory: here every assigned job begins.
    const table = new SlotTable(init.slots);
    const receive = hostTasks({ ...init, table: table.buffer }, send);
    process.on("message", (next: string) => {
      const message = JSON.parse(next) as ToThread;
      if (message.kind === "run") for (const { slot } of message.jobs) table.assign(slot);
      receive(message);
    });
    send({ kind: "ready" });
  });
  process.on("disconnect", exit);
  // A terminal's Ctrl-C reaches the whole group; it is the supervisor's to decide what ends when.
  process.on("SIGINT", () => {});
  process.on("SIGTERM", () => {});
}
