import { readCall } from "../config.ts";
import type { Language } from "./client/words.ts";
import type { Command } from "./commands.ts";

export const clientCommand: Command = {
  name: "client",
  purpose: "the terminal client: accounts, tasks, their progress as it happens",
  usage: "client [--server URL] [--lang en|ru]",
  flags: ["server", "lang"],
  example: "artel client --server http://127.0.0.1:12000",
  async run(args, io) {
    const call = readCall("client", args, clientCommand.flags, io.environment);
    const { serverOf } = await import("./client/connect.ts");
    const { converse } = await import("./client/converse.ts");
    return await converse(serverOf(call), call.text("lang") as Language | undefined, io);
  },
};
