/**
 * Entry of the loader thread: imports task files, which are code, where nothing that they do can hang or break the API,
 * and hands out what is data of them.
 */
import { importTask, provideArtel } from "./library.ts";
import type { FromLoader, ToLoader } from "./messages.ts";
import { reasonOf } from "./reason.ts";

declare const self: Worker;

provideArtel();
// What a file has left behind and goes wrong later must not end the thread while it imports the next one.
process.on("uncaughtException", () => {});
process.on("unhandledRejection", () => {});
// Standard output is the ready line's, standard error the log's; what a file prints as it is imported is neither.
for (const method of ["log", "info", "debug", "trace", "warn", "error", "dir", "table"] as const) console[method] = () => {};
const send = (message: FromLoader): void => self.postMessage(message);
// A file's process.exit would end this thread without a word.
process.exit = ((code?: number) => {
  throw new Error(`the file called process.exit(${code ?? ""})`);
}) as typeof process.exit;

self.onmessage = async ({ data: { file } }: MessageEvent<ToLoader>) => {
  try {
    const { policy } = await importTask(file);
    send({ kind: "loaded", file, policy });
  } catch (error) {
    send({ kind: "broken", file, reason: reasonOf(file, error) });
  }
};
send({ kind: "ready" });
