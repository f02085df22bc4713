import { availableParallelism } from "node:os";
import { readCall, UsageError } from "../config.ts";
import { stderrLog } from "../drivers/logger.ts";
import type { Command } from "./commands.ts";
import { version } from "./version.ts";

export const serveCommand: Command = {
  name: "serve",
  purpose: "serve the API, with worker threads beside it",
  usage: "serve [flags]",
  flags: [
    "host",
    "port",
    "data",
    "redis",
    "namespace",
    "threads",
    "slots",
    "tasks",
    "logLevel",
    "drain",
    "retention",
    "durability",
    "origins",
    "trustProxy",
    "maxQueued",
    "maxQueuedPerUser",
  ],
  example: "artel serve --port 8080 --data /var/lib/artel",
  async run(args, io) {
    const call = readCall("serve", args, serveCommand.flags, io.environment);
    if (call.text("redis") !== undefined) throw new UsageError("--redis is not available in this version");
    const log = stderrLog(call.need("logLevel"));
    // What serves is loaded here: the other commands start without it.
    const { startServer } = await import("../compose.ts");
    const stopped = Promise.withResolvers<number>();
    const server = await startServer(
      {
        host: call.need("host"),
        port: Number(call.need("port")),
        dataDirectory: call.need("data"),
        durability: call.need("durability") === "full" ? "full" : "normal",
        threads: call.count("threads") ?? availableParallelism(),
        slots: Math.max(1, call.count("slots") ?? 1),
        tasksDirectory: call.text("tasks"),
        retentionMs: call.duration("retention"),
        maxQueued: call.count("maxQueued") ?? 0,
        maxQueuedPerUser: call.count("maxQueuedPerUser") ?? 0,
        origins: call.list("origins"),
        trustProxy: call.list("trustProxy"),
        secret: io.environment["ARTEL_SECRET"],
        allowPrivateHosts: io.environment["ARTEL_ALLOW_PRIVATE_HOSTS"] === "1",
        logRequests: call.need("logLevel") === "debug",
        version,
        isolateCommand: [...io.self, "isolate"],
      },
      log,
    );
    io.out(`artel ${version} serves at ${server.url} (docs at ${server.url}/docs)`);
    const drainMs = call.duration("drain");
    io.onSignal((count) => {
      // A second signal ends at once: what runs is found again at the next start.
      if (count > 1) return stopped.resolve(0);
      log.info("draining", { drain_ms: drainMs });
      server.stop(Date.now() + drainMs).then(() => stopped.resolve(0), stopped.reject);
    });
    return await stopped.promise;
  },
};
