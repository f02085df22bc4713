import { readCall, UsageError } from "../config.ts";
import type { Command } from "./commands.ts";

export const backupCommand: Command = {
  name: "backup",
  purpose: "write the database into one file, also beside a server",
  usage: "backup FILE [flags]",
  flags: ["data"],
  details: [
    "The file is looked through before it gets its name. It holds everything but the signing secret: whoever reads it cannot sign",
    "tokens. Keep a copy of data/secret elsewhere, or long-lived tokens end when the database is restored without it.",
  ],
  example: "artel backup /backups/artel-$(date +%F).db",
  async run(args, io) {
    const call = readCall("backup", args, backupCommand.flags, io.environment, 1);
    const [file] = call.words;
    if (file === undefined) throw new UsageError("artel backup takes a file");
    const { backUp } = await import("../compose-backup.ts");
    const bytes = backUp(call.need("data"), file);
    io.out(`${file}: ${bytes} bytes, sound`);
    return 0;
  },
};
