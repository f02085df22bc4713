/** The commands, and how one of them is found and run. */

import { UsageError } from "../config.ts";
import { ArtelError } from "../domain/errors.ts";
import { lasts } from "./allocator.ts";
import { backupCommand } from "./backup.ts";
import { checkCommand } from "./check.ts";
import { clientCommand } from "./client.ts";
import type { Command, Io } from "./commands.ts";
import { completeCommand, completionCommand } from "./completion.ts";
import { doctorCommand } from "./doctor.ts";
import { healthCommand } from "./health.ts";
import { find, helpCommand } from "./help.ts";
import { initCommand } from "./init.ts";
import { isolateCommand } from "./isolate.ts";
import { loginCommand, logoutCommand } from "./login.ts";
import { migrateCommand } from "./migrate.ts";
import { openapiCommand } from "./openapi.ts";
import { Output } from "./output.ts";
import { restoreCommand } from "./restore.ts";
import { runCommand } from "./run.ts";
import { serveCommand } from "./serve.ts";
import { taskCommand } from "./task.ts";
import { typesCommand } from "./types.ts";
import { userCommand } from "./user.ts";
import { versionCommand } from "./version.ts";
import { workCommand } from "./work.ts";

/** What the program knows of its own process. */
export interface Self {
  /** How it is started again, for a process of its own. */
  readonly self: readonly string[];
  /** The file that a worker thread begins with. */
  readonly threadEntry: URL;
  /** Ends the process at once. */
  readonly kill: () => unknown;
}

export class Program {
  readonly #commands: readonly Command[];
  readonly #help: Command;
  readonly #output = new Output();
  readonly #io: Io;

  constructor({ self, threadEntry, kill }: Self) {
    this.#help = helpCommand(() => this.#commands);
    this.#commands = [
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
      this.#help,
      completeCommand(() => this.#commands),
      isolateCommand(kill, threadEntry),
    ];
    this.#io = {
      environment: process.env,
      out: (line) => this.#output.line(line),
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
      self,
    };
  }

  /** @returns the exit code; what went wrong is said on stderr */
  async run(args: readonly string[]): Promise<number> {
    const [name = "help", ...rest] = args;
    try {
      return this.#printed(name, await this.#runCommand(name, rest));
    } catch (error) {
      return this.failed(error);
    }
  }

  /** One line says what is wrong. @returns 2: the call was wrong, 1: it failed */
  failed(error: unknown): number {
    this.#io.error(`artel: ${oneLine(explain(error))}`);
    return error instanceof UsageError ? 2 : 1;
  }

  async #runCommand(name: string, args: readonly string[]): Promise<number> {
    if (name === "--help" || name === "-h") return await this.#help.run(args, this.#io);
    if (name === "--version" || name === "-v") return await versionCommand.run(args, this.#io);
    const command = find(this.#commands, name);
    const asked = args.includes("--help") || args.includes("-h");
    return asked ? await this.#help.run([name], this.#io) : await command.run(args, this.#io);
  }

  /** What a command prints is what it was called for; a server says little on stdout, and goes on and ends well without it. */
  #printed(name: string, code: number): number {
    if (code !== 0 || lasts(name) || this.#output.trouble === undefined) return code;
    return this.failed(new ArtelError("output_lost", `what was to be printed could not be written: ${this.#output.trouble}`));
  }
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
