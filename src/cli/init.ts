import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { readCall } from "../config.ts";
import { StartupError } from "../domain/errors.ts";
import type { Command } from "./commands.ts";

export const initCommand: Command = {
  name: "init",
  purpose: "write a folder of task files that is ready to edit",
  usage: "init [DIR]",
  flags: [],
  example: "artel init tasks",
  async run(args, io) {
    const [directory = "tasks"] = readCall("init", args, [], io.environment, 1).words;
    const { TEMPLATE } = await import("./template/template.ts");
    const there = Object.keys(TEMPLATE).filter((name) => existsSync(join(directory, name)));
    if (there.length > 0)
      throw new StartupError("folder_in_use", `${join(directory, there[0] as string)} is there already: name another folder`);
    try {
      mkdirSync(directory, { recursive: true });
      for (const [name, text] of Object.entries(TEMPLATE)) writeFileSync(join(directory, name), text, { flag: "wx" });
    } catch (error) {
      throw new StartupError("folder_unwritable", `cannot write ${directory}: ${(error as Error).message}`, { cause: error });
    }
    const folder = relative(".", directory) || ".";
    io.out(`${folder} holds ${Object.keys(TEMPLATE).join(", ")}`);
    io.out(`serve it:   artel serve --tasks ${folder}`);
    io.out(`check it:   artel check ${folder}`);
    return 0;
  },
};
