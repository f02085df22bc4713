import { availableParallelism } from "node:os";
import type { ServerSettings } from "../compose.ts";
import { type Call, readCall, UsageError } from "../config.ts";
import { stderrLog } from "../drivers/logger.ts";
import type { Command, Io } from "./commands.ts";
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
    if (call.text("redis") !== undefined) {
      throw new UsageError(
        "a Redis URL is given (--redis, ARTEL_REDIS, ARTEL_REDIS_URL or REDIS_URL), which this version cannot use: take it away",
      );
    }
    const log = stderrLog(call.need("logLevel"));
    const drainMs = call.duration("drain");
    const ended = Promise.withResolvers<number>();
    let drain: (() => Promise<void>) | undefined;
    // Before anything is started, so that no signal ever finds nobody listening.
    io.onSignal((count) => {
      // While it starts there is nothing to drain, and a second signal ends at once: what runs is found at the next start.
      if (count > 1 || drain === undefined) return ended.resolve(0);
      log.info("draining", { drain_ms: drainMs });
      drain().then(() => ended.resolve(0), ended.reject);
    });
    // What serves is loaded here: the other commands start without it.
    const { startServer } = await import("../compose.ts");
    const starting = startServer(await settingsOf(call, io), log).then((server) => {
      drain = () => server.stop(Date.now() + drainMs);
      io.out(`artel ${version} serves at ${server.url} (docs at ${server.url}/docs)`);
      return ended.promise;
    });
    return await Promise.race([starting, ended.promise]);
  },
};

async function settingsOf(call: Call, io: Io): Promise<ServerSettings> {
  const { clientAddress } = await import("../http/client-address.ts");
  const trustProxy = call.list("trustProxy");
  try {
    clientAddress(trustProxy);
  } catch (error) {
    throw new UsageError(`--trust-proxy: ${error instanceof Error ? error.message : String(error)}`);
  }
  return {
    host: call.need("host"),
    port: Number(call.need("port")),
    dataDirectory: call.need("data"),
    durability: call.need("durability") === "full" ? "full" : "normal",
    threads: call.count("threads") ?? availableParallelism(),
    slots: call.count("slots") ?? 1,
    tasksDirectory: call.text("tasks"),
    retentionMs: call.duration("retention"),
    maxQueued: call.count("maxQueued") ?? 0,
    maxQueuedPerUser: call.count("maxQueuedPerUser") ?? 0,
    origins: call.list("origins"),
    trustProxy,
    secret: io.environment["ARTEL_SECRET"],
    allowPrivateHosts: io.environment["ARTEL_ALLOW_PRIVATE_HOSTS"] === "1",
    logRequests: call.need("logLevel") === "debug",
    version,
    isolateCommand: [...io.self, "isolate"],
  };
}
