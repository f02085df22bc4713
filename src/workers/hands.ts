import type { Subprocess } from "bun";
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
    const child = spawn(command, onMessage, onEnd);
    const send = (message: string): void => {
      try {
        child?.send(message);
      } catch {
        // It has just ended, which onEnd tells.
      }
    };
    const { table: _, ...rest } = init;
    send(JSON.stringify(rest));
    return { send, kill: () => child?.kill("SIGKILL") };
  };
  return { start, sharesMemory: false };
}

/** Undefined where it cannot be started: then it has ended already. */
function spawn(command: readonly string[], onMessage: (text: string) => void, onEnd: () => void): Subprocess | undefined {
  try {
    return Bun.spawn([...command], {
      ipc: (text: string) => onMessage(text),
      serialization: "json",
      stdin: "ignore",
      stdout: "ignore",
      stderr: "inherit",
      // In a group of its own: what a task does to its group, and a terminal to the server's, goes no further.
      detached: true,
      onExit: onEnd,
    });
  } catch {
    setImmediate(onEnd);
    return undefined;
  }
}
