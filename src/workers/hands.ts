import type { ThreadInit } from "./messages.ts";
import type { HandKind } from "./slot-worker.ts";

/** Starts worker threads from this entry. */
export function threads(entry: URL): HandKind {
  const start: HandKind["start"] = (init, onMessage, onEnd) => {
    const worker = new Worker(entry.href);
    worker.onmessage = (event: MessageEvent<string>) => onMessage(event.data);
    // An error that ends the thread is followed by its close.
    worker.onerror = (event) => event.preventDefault();
    worker.addEventListener("close", onEnd);
    worker.postMessage(init);
    return {
      send: (text) => worker.postMessage(text),
      kill: () => worker.terminate(),
    };
  };
  return { start, sharesMemory: true };
}

/** Starts processes for suspected tasks with this command line. */
export function processes(command: readonly string[]): HandKind {
  const start: HandKind["start"] = (init: ThreadInit, onMessage, onEnd) => {
    const child = Bun.spawn([...command], {
      ipc: (text: string) => onMessage(text),
      serialization: "json",
      stdin: "ignore",
      stdout: "ignore",
      stderr: "inherit",
      onExit: onEnd,
    });
    const { table: _, ...rest } = init;
    child.send(JSON.stringify(rest));
    return {
      send: (text) => child.send(text),
      kill: () => child.kill("SIGKILL"),
    };
  };
  return { start, sharesMemory: false };
}
