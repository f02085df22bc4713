import { heapSize } from "bun:jsc";
import type { BrokerWorker } from "../ports/broker.ts";
import { Consumer } from "./consumer.ts";
import { Executor } from "./executor.ts";
import { Flight } from "./flight.ts";
import { guard } from "./guards.ts";
import { Library, provideArtel } from "./library.ts";
import type { FromThread, OwnBroker, ThreadInit, ToThread } from "./messages.ts";
import { SlotTable } from "./slots.ts";

/** How old a heap's size may be that is told, in milliseconds. */
const HEAP_AGE_MS = 250;

/**
 * Sets this thread up to run tasks.
 *
 * @param send takes messages to the supervisor
 * @param broker of a thread that claims by itself
 * @returns what takes the supervisor's messages
 */
export function hostTasks(
  init: ThreadInit,
  send: (message: FromThread) => void,
  broker?: ThreadBroker,
): (message: ToThread) => void {
  provideArtel();
  const table = new SlotTable(init.slots, init.table);
  const heapBytes = heapGauge();
  let consumer: Consumer | undefined;
  const executor = executorOf(init, table, heapBytes, (message) => {
    if (consumer && message.kind === "report") consumer.report(message);
    else send(message);
  });
  guard(executor);
  if (init.ownBroker && broker) consumer = consume(init, init.ownBroker, broker, { table, executor, heapBytes, send });
  return (message) => {
    switch (message.kind) {
      case "run":
        return executor.run(message.jobs);
      case "stop":
        return executor.stop(message.slot, message.id, message.fence, message.reason);
      case "work":
        return consumer?.look();
      case "quiet":
        return void Promise.resolve(consumer?.quiet()).then(() => send({ kind: "quiet" }));
    }
  };
}

/** The broker as one thread uses it. */
export type ThreadBroker = Pick<BrokerWorker, "claim" | "settle" | "log" | "report" | "onWork"> & {
  /** Calls when it can be reached (again). */
  onReady(listener: () => void): void;
};

interface Consumed {
  readonly table: SlotTable;
  readonly executor: Executor;
  readonly heapBytes: () => number;
  readonly send: (message: FromThread) => void;
}

function consume(
  init: ThreadInit,
  { worker, queues }: OwnBroker,
  broker: ThreadBroker,
  { table, executor, heapBytes, send }: Consumed,
): Consumer {
  const consumer = new Consumer({
    broker,
    request: { worker, queues, tasks: init.sources.map(({ policy }) => policy.name), alone: false },
    table,
    atOnce: init.atOnce,
    run: (jobs) => executor.run(jobs),
    running: () => executor.running().length,
    heapBytes,
    send,
    clock: { now: Date.now },
  });
  broker.onReady(() => consumer.look());
  broker.onWork(() => consumer.look());
  return consumer;
}

function executorOf(init: ThreadInit, table: SlotTable, heapBytes: () => number, send: (message: FromThread) => void): Executor {
  const library = new Library(init.sources);
  return new Executor({
    table,
    atOnce: init.atOnce,
    flight: init.flight === undefined ? undefined : new Flight(init.flight, init.slots),
    load: (name) => library.load(name),
    fileOf: (name) => library.file(name),
    send,
    async fetch(url, requestInit) {
      // Loaded by the first who needs it: what it stands on takes more of a thread than all the rest.
      const { guardedFetch } = await import("../tasks/net/guarded-fetch.ts");
      return await guardedFetch(url, requestInit, { allowPrivate: init.allowPrivateHosts });
    },
    heapBytes,
    clock: { now: Date.now },
    random: { fraction: Math.random },
  });
}

/** The size of this thread's heap in bytes. To find it the whole heap is walked, which under load took a fifth of the thread. */
function heapGauge(): () => number {
  let bytes = 0;
  let readAt = Number.NEGATIVE_INFINITY;
  return () => {
    const now = performance.now();
    if (now - readAt >= HEAP_AGE_MS) [bytes, readAt] = [heapSize(), now];
    return bytes;
  };
}
