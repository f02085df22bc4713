/** Entry of a worker thread: its first message sets it up, the later ones are jobs, or tell of them. */
import type { Log } from "../ports/runtime.ts";
import { hostTasks, type ThreadBroker } from "./host.ts";
import type { FromThread, OwnBroker, ThreadInit, ToThread } from "./messages.ts";

declare const self: Worker;

const send = (message: FromThread): void => self.postMessage(JSON.stringify(message));

/** What is wrong with the broker the main thread tells, whose connections are to the same one. */
const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };

/** Loaded here alone: a thread that gets its jobs from the supervisor does without. */
async function connect({ url, namespace }: OwnBroker): Promise<ThreadBroker> {
  const [{ RedisThreadBroker }, { systemClock, systemRandom }] = await Promise.all([
    import("../drivers/redis/thread-broker.ts"),
    import("../drivers/system.ts"),
  ]);
  return new RedisThreadBroker({ url, namespace, clock: systemClock, random: systemRandom, log: silent });
}

self.onmessage = async ({ data: init }: MessageEvent<ThreadInit>) => {
  const receive = hostTasks(init, send, init.ownBroker && (await connect(init.ownBroker)));
  self.onmessage = (next: MessageEvent<string>) => receive(JSON.parse(next.data) as ToThread);
  send({ kind: "ready" });
};
