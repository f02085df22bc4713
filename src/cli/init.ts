import { closeSync, existsSync, mkdirSync, openSync, rmSync, writeFileSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { readCall } from "../config.ts";
import { StartupError } from "../domain/errors.ts";
import { listTaskFiles } from "../workers/task-files.ts";
import type { Command } from "./commands.ts";

/** Every project has its own of these, so they are left as they are where they are there; the others are Artel's. */
const PROJECT_FILES: readonly string[] = ["package.json", "tsconfig.json"];

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
    const taken = there.filter((name) => !PROJECT_FILES.includes(name));
    if (taken.length > 0) throw inUse(taken.map((name) => join(directory, name)));
    const missing = Object.entries(TEMPLATE).filter(([name]) => !there.includes(name));
    writeAll(directory, missing);
    const names = missing.map(([name]) => name);
    const folder = relative(".", directory) || ".";
    io.out(`wrote into ${folder}: ${names.join(", ")}`);
    if (there.length > 0) io.out(`left as it was: ${there.join(", ")}`);
    if (there.includes("tsconfig.json")) io.out("an editor completes where tsconfig.json includes artel.d.ts and the task files");
    const others = listTaskFiles(directory)
      .map((file) => basename(file))
      .filter((name) => !names.includes(name));
    if (others.length > 0) io.out(`taken for task files too, for they lie beside them: ${others.join(", ")}`);
    io.out(`serve it:   artel serve --tasks ${folder}`);
    io.out(`check it:   artel check ${folder}`);
    return 0;
  },
};

const inUse = (paths: readonly string[]): StartupError =>
  new StartupError(
    "folder_in_use",
    `${paths.join(" and ")} ${paths.length > 1 ? "are" : "is"} there already: name another folder`,
  );

/** Over nothing that is there; all of them, or none where one fails. */
function writeAll(directory: string, files: readonly (readonly [name: string, text: string])[]): void {
  const written: string[] = [];
  try {
    mkdirSync(directory, { recursive: true });
    for (const [name, text] of files) {
      const path = join(directory, name);
      closeSync(openSync(path, "wx"));
      written.push(path);
      writeFileSync(path, text);
    }
  } catch (error) {
    for (const path of written) rmSync(path, { force: true });
    throw new StartupError("folder_unwritable", `cannot write ${directory}: ${(error as Error).message}`, { cause: error });
  }
}
