import { readCall } from "../config.ts";
import type { Command } from "./commands.ts";

/** For a container's HEALTHCHECK: an image needs no curl. */
export const healthCommand: Command = {
  name: "health",
  purpose: "exit 0 if the server on this machine answers",
  usage: "health [flags]",
  flags: ["host", "port"],
  example: "artel health --port 12000",
  async run(args, io) {
    const call = readCall("health", args, healthCommand.flags, io.environment);
    const host = call.need("host");
    const reachable = host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host;
    const url = `http://${reachable.includes(":") ? `[${reachable}]` : reachable}:${call.need("port")}/health/live`;
    try {
      const { ok, status } = await fetch(url, { signal: AbortSignal.timeout(3_000) });
      if (ok) return 0;
      io.error(`${url} answers ${status}`);
    } catch (error) {
      io.error(`${url} does not answer: ${error instanceof Error ? error.message : String(error)}`);
    }
    return 1;
  },
};
