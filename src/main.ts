/** The program: finds the command, runs it, and is the only place that ends the process. */
import { keepFreedMemory } from "./cli/allocator.ts";
import { backupCommand } from "./cli/backup.ts";
import { checkCommand } from "./cli/check.ts";
import { clientCommand } from "./cli/client.ts";
import type { Command, Io } from "./cli/commands.ts";
import { completeCommand, completionCommand } from "./cli/completion.ts";
import { doctorCommand } from "./cli/doctor.ts";
import { healthCommand } from "./cli/health.ts";
import { find, helpCommand } from "./cli/help.ts";
import { initCommand } from "./cli/init.ts";
import { isolateCommand } from "./cli/isolate.ts";
import { loginCommand, logoutCommand } from "./cli/login.ts";
import { migrateCommand } from "./cli/migrate.ts";
import { openapiCommand } from "./cli/openapi.ts";
import { Output } from "./cli/output.ts";
import { restoreCommand } from "./cli/restore.ts";
import { runCommand } from "./cli/run.ts";
import { serveCommand } from "./cli/serve.ts";
import { taskCommand } from "./cli/task.ts";
import { typesCommand } from "./cli/types.ts";
import { userCommand } from "./cli/user.ts";
import { versionCommand } from "./cli/version.ts";
import { workCommand } from "./cli/work.ts";
import { UsageError } from "./config.ts";
import { ArtelError } from "./domain/errors.ts";

const exit = process.exit.bind(process);
const help = helpCommand(() => commands);
/** scripts/build.ts puts it into the executable, where places are relative to this file alone. */
const threadEntry = new URL("./workers/thread.ts", import.meta.url);
const commands: readonly Command[] = [
  serveCommand,
  workCommand,
  clientCommand,
  migrateCommand,
  userCommand,
  backupCommand,
  restoreCommand,
  doctorCommand,
  loginCommand,
  logoutCommand,
  runCommand,
  taskCommand,
  initCommand,
  checkCommand,
  typesCommand,
  openapiCommand,
  healthCommand,
  completionCommand,
  versionCommand,
  help,
  completeCommand(() => commands),
  // Nothing may hold it up: an orderly exit would wait for the task's thread.
  isolateCommand(() => process.kill(process.pid, "SIGKILL"), threadEntry),
];

/** A compiled executable is its own program; run from the sources, Bun needs to be told this file. */
const compiled = import.meta.url.startsWith("file:///$bunfs/") || import.meta.url.startsWith("file:///B:/~BUN/");

const output = new Output();
const io: Io = {
  environment: process.env,
  out: (line) => output.line(line),
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
  if (compiled && command.lasting) keepFreedMemory(process.execPath, process.argv.slice(2), process.env);
  return args.includes("--help") || args.includes("-h") ? await help.run([name], io) : await command.run(args, io);
}

/** What a command prints is what it was called for; a server says little on stdout, and goes on and ends well without it. */
function printed(code: number): number {
  const lasting = commands.find(({ name }) => name === process.argv[2])?.lasting === true;
  if (code !== 0 || lasting || output.trouble === undefined) return code;
  return failed(new ArtelError("output_lost", `what was to be printed could not be written: ${output.trouble}`));
}

/** One line says what is wrong; 2: the call was wrong, 1: it failed. */
function failed(error: unknown): number {
  io.error(`artel: ${oneLine(explain(error))}`);
  return error instanceof UsageError ? 2 : 1;
}

/** What nobody thought of comes with its place, for whoever is to mend it. */
function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const message = error.message || error.name;
  if (error instanceof UsageError || error instanceof ArtelError) return message;
  const place = error.stack?.split("\n").find((line) => line.trim().startsWith("at "));
  return `unexpected ${error.name}: ${message}${place ?? ""}`;
}

const oneLine = (text: string): string => text.trim().replace(/\s*\n\s*/g, " ");

process.on("uncaughtException", (error) => exit(failed(error)));
process.on("unhandledRejection", (error) => exit(failed(error)));
exit(await run(process.argv.slice(2)).then(printed, failed));
