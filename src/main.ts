/** The program: finds the command, runs it, and is the only place that ends the process. */
import type { Command, Io } from "./cli/commands.ts";
import { healthCommand } from "./cli/health.ts";
import { find, helpCommand } from "./cli/help.ts";
import { isolateCommand } from "./cli/isolate.ts";
import { migrateCommand } from "./cli/migrate.ts";
import { openapiCommand } from "./cli/openapi.ts";
import { serveCommand } from "./cli/serve.ts";
import { versionCommand } from "./cli/version.ts";
import { UsageError } from "./config.ts";
import { ArtelError } from "./domain/errors.ts";

const exit = process.exit.bind(process);
const help = helpCommand(() => commands);
/** scripts/build.ts puts it into the executable, where places are relative to this file alone. */
const threadEntry = new URL("./workers/thread.ts", import.meta.url);
const commands: readonly Command[] = [
  serveCommand,
  migrateCommand,
  openapiCommand,
  healthCommand,
  versionCommand,
  help,
  // Nothing may hold it up: an orderly exit would wait for the task's thread.
  isolateCommand(() => process.kill(process.pid, "SIGKILL"), threadEntry),
];

/** A compiled executable is its own program; run from the sources, Bun needs to be told this file. */
const compiled = import.meta.url.startsWith("file:///$bunfs/") || import.meta.url.startsWith("file:///B:/~BUN/");

const io: Io = {
  environment: process.env,
  out: (line) => console.log(line),
  error: (line) => console.error(line),
  onSignal(listener) {
    let count = 0;
    const signalled = (): void => {
      count += 1;
      listener(count);
    };
    process.on("SIGTERM", signalled);
    process.on("SIGINT", signalled);
  },
  self: compiled ? [process.execPath] : [process.execPath, import.meta.path],
};

async function run([name = "help", ...args]: readonly string[]): Promise<number> {
  if (name === "--help" || name === "-h") return await help.run(args, io);
  if (name === "--version" || name === "-v") return await versionCommand.run(args, io);
  const command = find(commands, name);
  return args.includes("--help") || args.includes("-h") ? await help.run([name], io) : await command.run(args, io);
}

/** One line says what is wrong; 2: the call was wrong, 1: it failed. */
function failed(error: unknown): number {
  io.error(`artel: ${oneLine(error instanceof Error ? error.message || error.name : String(error))}`);
  const expected = error instanceof UsageError || error instanceof ArtelError;
  // What nobody thought of needs its stack, but not in front of everybody.
  if (!expected && io.environment["ARTEL_LOG_LEVEL"] === "debug" && error instanceof Error) io.error(error.stack ?? "");
  return error instanceof UsageError ? 2 : 1;
}

const oneLine = (text: string): string => text.trim().replace(/\s*\n\s*/g, " ");

exit(await run(process.argv.slice(2)).catch(failed));
