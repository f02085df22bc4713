import { FLAGS, type Flag, readCall, UsageError } from "../config.ts";
import type { FieldFlag } from "./client/input.ts";
import type { Command } from "./commands.ts";

export const runCommand: Command = {
  name: "run",
  purpose: "submit one task; its fields are flags, as --url for url",
  usage: "run NAME [--FIELD VALUE ...] [flags]",
  flags: ["input", "watch", "json", "delay", "priority", "idempotencyKey", "server"],
  example: "artel run parse --url https://docs.python.org/3/ --max-pages 50 --watch",
  details: [
    "Fields are typed by the task's schema: a list is given by repetition or as JSON, an object as JSON or field by field",
    "(--deep.flag), a boolean as --flag or --no-flag. A field that is called as a flag above stands behind --, or in --input.",
    "Without --watch the id is printed, or with --json what the server answered. With --watch the exit code is 0 if the",
    "task is done and 1 if it failed or was cancelled; --json prints the task alone: artel run ... --watch --json | jq .result",
  ],
  async run(args, io) {
    const { own, fields } = split(args);
    const call = readCall("run", own, runCommand.flags, io.environment, 1);
    const [name] = call.words;
    if (name === undefined) throw new UsageError("artel run needs the name of a task: artel run NAME; see artel help run");
    const { runTask } = await import("./client/run-task.ts");
    return await runTask({ name, fields, call, flags: [...OWN.keys()] }, io);
  },
};

const OWN = new Map<string, Flag>(runCommand.flags.map((key) => [FLAGS[key].name, FLAGS[key]]));

/** Sorts the words into the command's own and the task's fields. A word behind a field is its value unless it is a flag itself. */
function split(args: readonly string[]): { readonly own: readonly string[]; readonly fields: readonly FieldFlag[] } {
  const own: string[] = [];
  const fields: FieldFlag[] = [];
  const words = [...args];
  const valueNext = (): boolean => words[0] !== undefined && !words[0].startsWith("--");
  let fieldsOnly = false;
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    const [, name = "", text] = /^--([^=]+)(?:=(.*))?$/s.exec(word) ?? [];
    const flag = fieldsOnly ? undefined : OWN.get(name);
    if (word === "--" && !fieldsOnly) fieldsOnly = true;
    else if (name !== "" && !flag) fields.push({ name, text: text ?? (valueNext() ? words.shift() : undefined) });
    else own.push(word, ...(flag && flag.kind !== "switch" && text === undefined ? words.splice(0, 1) : []));
  }
  return { own, fields };
}
