import { FLAGS, type Flag, readCall, UsageError, variableOf } from "../config.ts";
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
  throw new UsageError(`there is no command "${name}"; known: ${known.join(", ")}`);
}

function showAll(commands: readonly Command[], io: Io): void {
  io.out("artel: accounts, background tasks and live progress in one executable\n");
  const width = Math.max(...commands.map(({ usage }) => usage.length));
  for (const { usage, purpose } of commands) io.out(`  artel ${usage.padEnd(width)}  ${purpose}`);
  io.out("\nEvery flag has a variable: --port is ARTEL_PORT. More: artel help COMMAND");
}

function showOne({ usage, purpose, flags, example }: Command, io: Io): void {
  io.out(`artel ${usage}\n  ${purpose}\n`);
  for (const key of flags) {
    const flag: Flag = FLAGS[key];
    const value = flag.fallback === undefined ? "" : ` (default ${flag.fallback})`;
    io.out(`  --${flag.name.padEnd(22)} ${flag.help}${value}`);
  }
  if (flags[0] !== undefined) io.out(`\nEvery flag has a variable: --${FLAGS[flags[0]].name} is ${variableOf(FLAGS[flags[0]])}`);
  io.out(`\nexample: ${example}`);
}
