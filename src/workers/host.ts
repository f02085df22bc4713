import { heapSize } from "bun:jsc";
import { guardedFetch } from "../tasks/net/guarded-fetch.ts";
import { Executor } from "./executor.ts";
import { Flight } from "./flight.ts";
import { guard } from "./guards.ts";
import { Library, provideArtel } from "./library.ts";
import type { FromThread, ThreadInit, ToThread } from "./messages.ts";
import { SlotTable } from "./slots.ts";

/**
 * Sets this thread (or isolated process) up to run tasks.
 *
 * @param send takes messages to the supervisor
 * @returns what takes its messages
 */
export function hostTasks(init: ThreadInit, send: (message: FromThread) => void): (message: ToThread) => void {
  provideArtel();
  const library = new Library(init.sources);
  const executor = new Executor({
    table: new SlotTable(init.slots, init.table),
    atOnce: init.atOnce,
    flight: init.flight === undefined ? undefined : new Flight(init.flight, init.slots),
    load: (name) => library.load(name),
    fileOf: (name) => library.file(name),
    send,
    fetch: (url, requestInit) => guardedFetch(url, requestInit, { allowPrivate: init.allowPrivateHosts }),
    heapBytes: heapSize,
    clock: { now: Date.now },
    random: { fraction: Math.random },
  });
  guard(executor);
  return (message) => {
    if (message.kind === "run") executor.run(message.jobs);
    else executor.stop(message.slot, message.id, message.fence, message.reason);
  };
}
