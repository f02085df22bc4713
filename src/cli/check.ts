import { basename, relative } from "node:path";
import { readCall } from "../config.ts";
import type { Command } from "./commands.ts";

export const checkCommand: Command = {
  name: "check",
  purpose: "load every task file, and report what is wrong",
  usage: "check [DIR]",
  flags: ["tasks"],
  example: "artel check tasks",
  async run(args, io) {
    const call = readCall("check", args, checkCommand.flags, io.environment, 1);
    const directory = call.words[0] ?? call.text("tasks") ?? "tasks";
    const { loadTasks } = await import("../compose-workers.ts");
    const { sources, broken } = await loadTasks(directory);
    for (const { policy, file = "", gaps = [] } of sources) {
      io.out(`ok      ${relative(".", file)}: POST /tasks/${policy.name}`);
      for (const { text } of gaps) io.out(`note    ${fromHere(file, text)}`);
    }
    for (const { file, reason } of broken) io.out(`broken  ${fromHere(file, reason)}`);
    if (sources.length + broken.length === 0) io.out(`${directory} holds no task file`);
    if (broken.length > 0) io.error(`artel: ${broken.length} of ${broken.length + sources.length} task files cannot be loaded`);
    return broken.length > 0 ? 1 : 0;
  },
};

/** What begins with a file's name, with the path that terminals and editors find it by. */
function fromHere(file: string, text: string): string {
  const name = basename(file);
  return text.startsWith(`${name}:`) ? relative(".", file) + text.slice(name.length) : text;
}
