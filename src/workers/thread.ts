/** Entry of a worker thread: its first message sets it up, the later ones are jobs. */
import { hostTasks } from "./host.ts";
import type { FromThread, ThreadInit, ToThread } from "./messages.ts";

declare const self: Worker;

const send = (message: FromThread): void => self.postMessage(JSON.stringify(message));

self.onmessage = (first: MessageEvent<ThreadInit>) => {
  const receive = hostTasks(first.data, send);
  self.onmessage = (next: MessageEvent<string>) => receive(JSON.parse(next.data) as ToThread);
  send({ kind: "ready" });
};
