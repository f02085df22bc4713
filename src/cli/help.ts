import { FLAGS, type Flag, readCall, UsageError, variableOf } from "../config.ts";
import { didYouMean } from "../domain/closest.ts";
import type { Command, Io } from "./commands.ts";

/** The list of commands, or one command with its flags. */
export function helpCommand(commands: () => readonly Command[]): Command {
  return {
    name: "help",
    purpose: "show the commands, or one of them with its flags",
    usage: "help [COMMAND]",
    flags: [],
    example: "artel help serve",
    async run(args, io) {
      const [name] = readCall("help", args, [], io.environment, 1).words;
      const shown = commands().filter(({ hidden }) => !hidden);
      if (name === undefined) showAll(shown, io);
      else showOne(find(shown, name), io);
      return 0;
    },
  };
}

/** @throws UsageError naming the known ones */
export function find(commands: readonly Command[], name: string): Command {
  const command = commands.find((each) => each.name === name);
  if (command) return command;
  const known = commands.filter(({ hidden }) => !hidden).map((each) => each.name);
  throw new UsageError(`there is no command "${name}"${didYouMean(name, known)}; known: ${known.join(", ")}`);
}

function showAll(commands: readonly Command[], io: Io): void {
  io.out("artel: accounts, background tasks and live progress in one executable\n");
  const width = Math.max(...commands.map(({ name }) => name.length));
  for (const { name, purpose } of commands) io.out(`  artel ${name.padEnd(width)}  ${purpose}`);
  io.out("\nEvery flag has a variable: --port is ARTEL_PORT. More: artel help COMMAND");
}

/** What stands behind a flag's name, by its kind, where the flag does not say. */
const VALUES: Readonly<Partial<Record<Flag["kind"], string>>> = {
  count: "N",
  port: "PORT",
  duration: "TIME",
  list: "LIST",
  origins: "LIST",
  queues: "LIST",
  namespace: "NAME",
  durability: "MODE",
  level: "LEVEL",
  switch: "",
};
const TIMES = "TIME is a number with its unit: 500ms, 30s, 5m, 2h or 7d.";

function showOne({ usage, purpose, flags, details, example }: Command, io: Io): void {
  io.out(`artel ${usage}\n  ${purpose}`);
  if (flags.length > 0) io.out("");
  const known: readonly Flag[] = flags.map((key) => FLAGS[key]);
  const names = known.map(({ name, kind, value }) => `--${name} ${value ?? VALUES[kind] ?? "TEXT"}`.trim());
  const width = Math.max(0, ...names.map((name) => name.length));
  known.forEach(({ help, fallback }, i) => {
    io.out(`  ${(names[i] ?? "").padEnd(width)}  ${help}${fallback === undefined ? "" : ` (default ${fallback})`}`);
  });
  if (known.some(({ kind }) => kind === "duration")) io.out(`\n${TIMES}`);
  if (known[0]) io.out(`Every flag has a variable: --${known[0].name} is ${variableOf(known[0])}.`);
  if (details) io.out(`\n${details.join("\n")}`);
  io.out(`\nexample: ${example}`);
}
