import { availableParallelism } from "node:os";
import type { ServerSettings } from "../compose.ts";
import { type Call, readCall, UsageError } from "../config.ts";
import { stderrLog } from "../drivers/logger.ts";
import type { Command, Io } from "./commands.ts";
import { runUntilSignalled } from "./draining.ts";
import { redisOf } from "./redis-flag.ts";
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
    "noWatch",
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
    const log = stderrLog(call.need("logLevel"));
    const settings = await settingsOf(call, io);
    return await runUntilSignalled(io, log, call.duration("drain"), async () => {
      // What serves is loaded here: the other commands start without it.
      const { startServer } = await import("../compose.ts");
      const server = await startServer(settings, log);
      io.out(`artel ${version} serves at ${server.url} (docs at ${server.url}/docs)`);
      return server;
    });
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
    redis: await redisOf(call),
    durability: call.need("durability") === "full" ? "full" : "normal",
    threads: call.count("threads") ?? availableParallelism(),
    slots: call.count("slots") ?? 1,
    tasksDirectory: call.text("tasks"),
    watchTasks: !call.on("noWatch"),
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
