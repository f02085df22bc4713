/**
 * A process of its own for a suspected task: what kills it takes nothing else along. The task runs on a thread there, as
 * everywhere, and this side only passes on what supervisor and thread say: so it hears of its supervisor's end, however
 * busy the task is, and no task outlives the server.
 */
import type { ThreadInit, ToThread } from "./messages.ts";
import { SlotTable } from "./slots.ts";

/**
 * Runs until the supervisor goes away or kills it, or the thread ends.
 *
 * @param exit ends the process at once
 * @param entry the worker threads' entry; by default its place in the sources
 */
export function runIsolated(exit: () => void, entry: URL = new URL("./thread.ts", import.meta.url)): void {
  process.once("message", (text: string) => {
    const init = JSON.parse(text) as Omit<ThreadInit, "table">;
    // The supervisor cannot see this memory: here every assigned job begins.
    const table = new SlotTable(init.slots);
    const thread = new Worker(entry.href);
    thread.onmessage = ({ data }: MessageEvent<string>) => void process.send?.(data);
    thread.onerror = (event) => event.preventDefault();
    thread.addEventListener("close", exit);
    thread.postMessage({ ...init, table: table.buffer } satisfies ThreadInit);
    process.on("message", (next: string) => {
      const message = JSON.parse(next) as ToThread;
      if (message.kind === "run") for (const { slot } of message.jobs) table.assign(slot);
      thread.postMessage(next);
    });
  });
  process.on("disconnect", exit);
  // A terminal's Ctrl-C reaches the whole group; it is the supervisor's to decide what ends when.
  process.on("SIGINT", () => {});
  process.on("SIGTERM", () => {});
}
