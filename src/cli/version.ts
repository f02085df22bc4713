import { version } from "../../package.json";
import { readCall } from "../config.ts";
import type { Command } from "./commands.ts";

export { version };

export const versionCommand: Command = {
  name: "version",
  purpose: "print the version",
  usage: "version",
  flags: [],
  example: "artel version",
  async run(args, io) {
    readCall("version", args, versionCommand.flags, io.environment);
    io.out(`artel ${version} (bun ${Bun.version}, ${process.platform}-${process.arch})`);
    return 0;
  },
};
