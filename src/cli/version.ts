import { version } from "../../package.json";
import type { Command } from "./commands.ts";

export { version };

export const versionCommand: Command = {
  name: "version",
  purpose: "print the version",
  usage: "version",
  flags: [],
  example: "artel version",
  async run(_args, io) {
    io.out(`artel ${version} (bun ${Bun.version}, ${process.platform}-${process.arch})`);
    return 0;
  },
};
