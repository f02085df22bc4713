import { readCall, UsageError } from "../config.ts";
import type { Command } from "./commands.ts";

export const migrateCommand: Command = {
  name: "migrate",
  purpose: "apply the database's migrations, take them back, or show them",
  usage: "migrate up [--to TAG] | down [N] | status",
  flags: ["data", "to"],
  words: ["up", "down", "status"],
  example: "artel migrate status --data ./data",
  async run(args, io) {
    const call = readCall("migrate", args, migrateCommand.flags, io.environment, 2);
    const [action, count] = call.words;
    if (action !== "up" && action !== "down" && action !== "status")
      throw new UsageError("artel migrate takes up, down or status");
    if (count !== undefined && (action !== "down" || !/^[1-9]\d{0,3}$/.test(count)))
      throw new UsageError(`artel migrate ${action} takes no "${count}"`);
    // --to says how far up; nothing else may take it and do otherwise than asked.
    if (action !== "up") readCall(`migrate ${action}`, args, ["data"], io.environment, 2);
    const { openMigrations } = await import("../compose-migrations.ts");
    using migrations = openMigrations(call.need("data"), action, call.text("to"));
    if (action === "status") {
      for (const { tag, applied } of migrations.status()) io.out(`${applied ? "applied" : "pending"}  ${tag}`);
      return 0;
    }
    const { tags, copy } = action === "up" ? migrations.up() : migrations.down(Number(count ?? "1"));
    for (const tag of tags) io.out(`${action === "up" ? "applied" : "taken back"}  ${tag}`);
    if (tags.length === 0) io.out("nothing to do");
    if (copy !== null) io.out(`the database as it was: ${copy}`);
    return 0;
  },
};
