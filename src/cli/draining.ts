import type { Log } from "../ports/runtime.ts";
import type { Io } from "./commands.ts";

/** Something that was started and can be drained; `deadlineMs` in milliseconds since 1970 UTC. */
export interface Drainable {
  stop(deadlineMs: number): Promise<void>;
}

/**
 * Starts something and runs it until the first SIGTERM or SIGINT, which drains it; a second one ends at once.
 *
 * @returns the exit code, 0
 */
export async function runUntilSignalled(io: Io, log: Log, drainMs: number, start: () => Promise<Drainable>): Promise<number> {
  const ended = Promise.withResolvers<number>();
  let drain: (() => Promise<void>) | undefined;
  // Before anything is started, so that no signal ever finds nobody listening.
  io.onSignal((count) => {
    // While it starts there is nothing to drain, and a second signal ends at once: what runs is found at the next start.
    if (count > 1 || drain === undefined) return ended.resolve(0);
    log.info("draining", { drain_ms: drainMs });
    drain().then(() => ended.resolve(0), ended.reject);
  });
  const starting = start().then((running) => {
    drain = () => running.stop(Date.now() + drainMs);
    return ended.promise;
  });
  return await Promise.race([starting, ended.promise]);
}
