import { readCall } from "../config.ts";
import type { Command } from "./commands.ts";
import { redisOf } from "./redis-flag.ts";

export const doctorCommand: Command = {
  name: "doctor",
  purpose: "look at all that a server needs, and say what is wrong",
  usage: "doctor [flags]",
  flags: ["data", "redis", "namespace", "jsonReport"],
  details: [
    "A line for each thing: ok, warning or problem, and what to do. Changes nothing; a server may run. A problem: exit 1.",
  ],
  example: "artel doctor --data /var/lib/artel --redis redis://10.0.0.5",
  async run(args, io) {
    const call = readCall("doctor", args, doctorCommand.flags, io.environment);
    const redis = await redisOf(call);
    const { examine } = await import("../compose-doctor.ts");
    const findings = await examine({ dataDirectory: call.need("data"), redis, secret: io.environment["ARTEL_SECRET"] });
    if (call.on("jsonReport")) io.out(JSON.stringify(findings));
    else for (const { check, state, detail } of findings) io.out(`${state.padEnd(8)} ${check.padEnd(15)} ${detail}`);
    const problems = findings.filter(({ state }) => state === "problem").map(({ check }) => check);
    if (problems.length > 0) io.error(`artel: problems with ${problems.join(", ")}: the report says what to do`);
    return problems.length > 0 ? 1 : 0;
  },
};
