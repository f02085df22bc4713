import { readCall, UsageError } from "../config.ts";
import type { Command } from "./commands.ts";

export const restoreCommand: Command = {
  name: "restore",
  purpose: "put a backup in the database's place, which is kept beside it",
  usage: "restore FILE [flags]",
  flags: ["data"],
  details: [
    "The server must be stopped; workers on other machines may go on. What was accepted up to the backup and had not ended then",
    "runs (again). What came later is gone, log-outs and changes of passwords too. Redis needs nothing: it is told at the next start.",
  ],
  example: "artel restore /backups/artel-2030-01-31.db",
  async run(args, io) {
    const call = readCall("restore", args, restoreCommand.flags, io.environment, 1);
    const [file] = call.words;
    if (file === undefined) throw new UsageError("artel restore takes a file");
    const { restore } = await import("../compose-backup.ts");
    const { unfinished, replaced, secret } = restore(call.need("data"), file);
    io.out(`restored ${file}: ${unfinished === 1 ? "1 task has" : `${unfinished} tasks have`} not ended`);
    if (replaced !== null) io.out(`the database as it was: ${replaced}`);
    if (!secret && !io.environment["ARTEL_SECRET"])
      io.out("there is no signing secret: put the old one into the data directory before the start, or long-lived tokens end");
    return 0;
  },
};
