import { availableParallelism } from "node:os";
import { type Call, readCall, UsageError } from "../config.ts";
import { stderrLog } from "../drivers/logger.ts";
import type { Command } from "./commands.ts";
import { runUntilSignalled } from "./draining.ts";
import { redisOf } from "./redis-flag.ts";
import { version } from "./version.ts";

export const workCommand: Command = {
  name: "work",
  purpose: "run tasks for a server, from its Redis, on this machine",
  usage: "work --redis URL [flags]",
  flags: ["redis", "namespace", "queues", "threads", "slots", "tasks", "noWatch", "logLevel", "drain", "host", "pulsePort"],
  example: "artel work --redis redis://10.0.0.5:6379 --tasks ./tasks --queues default,mail",
  async run(args, io) {
    const call = readCall("work", args, workCommand.flags, io.environment);
    const redis = await redisOf(call);
    if (redis === undefined)
      throw new UsageError("artel work needs --redis, or ARTEL_REDIS: the Redis of the server it works for");
    if (call.count("threads") === 0) throw new UsageError("--threads must be 1 or more: a worker without threads does nothing");
    const log = stderrLog(call.need("logLevel"));
    return await runUntilSignalled(io, log, call.duration("drain"), async () => {
      const { startWorkers } = await import("../compose-workers.ts");
      const port = call.text("pulsePort");
      const workers = await startWorkers(
        {
          redis,
          queues: queuesOf(call),
          threads: call.count("threads") ?? availableParallelism(),
          slots: call.count("slots") ?? 1,
          tasksDirectory: call.text("tasks"),
          watchTasks: !call.on("noWatch"),
          allowPrivateHosts: io.environment["ARTEL_ALLOW_PRIVATE_HOSTS"] === "1",
          host: call.need("host"),
          port: port === undefined ? undefined : Number(port),
          version,
          isolateCommand: [...io.self, "isolate"],
        },
        log,
      );
      const queues = queuesOf(call)?.join(", ") ?? "all queues";
      const pulse = workers.url === undefined ? "" : `; health at ${workers.url}/health/ready`;
      const trouble = workers.trouble();
      if (trouble !== undefined) io.out(`artel ${version} waits for Redis at ${workers.redis}: ${trouble}${pulse}`);
      workers.onceConnected(() =>
        io.out(`artel ${version} works on ${workers.tasks.join(", ")} of ${queues} (namespace ${redis.namespace})${pulse}`),
      );
      return workers;
    });
  },
};

function queuesOf(call: Call): readonly string[] | undefined {
  const queues = call.list("queues");
  return queues.length === 0 ? undefined : queues;
}
