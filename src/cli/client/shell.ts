import { closest } from "../../domain/closest.ts";
import { loginCommand, logoutCommand, registerCommand } from "./account-commands.ts";
import type { Desk } from "./desk.ts";
import type { History } from "./history.ts";
import { InputEnded, Interrupted } from "./screen.ts";
import { clean, paint } from "./show.ts";
import {
  cancelCommand,
  logsCommand,
  retryCommand,
  showCommand,
  taskCommand,
  tasksCommand,
  watchCommand,
} from "./task-commands.ts";
import { describe, Trouble } from "./trouble.ts";
import { COMMAND_NAMES, type CommandName } from "./words-en.ts";

interface ShellCommand {
  run(desk: Desk, words: readonly string[]): Promise<void>;
  /** How many words it takes. */
  readonly words?: number;
  /** What its word can be. */
  complete?(desk: Desk, word: string): readonly string[];
}

const ids = ({ tasks }: Desk, word: string): readonly string[] => tasks.completions(word);

const COMMANDS: Readonly<Record<Exclude<CommandName, "exit">, ShellCommand>> = {
  register: { run: registerCommand, words: 1 },
  login: { run: loginCommand, words: 1 },
  task: { run: taskCommand, words: 1, complete: ({ taskNames }) => taskNames },
  tasks: { run: tasksCommand },
  watch: { run: watchCommand, words: 1, complete: ids },
  show: { run: showCommand, words: 1, complete: ids },
  logs: { run: logsCommand, words: 1, complete: ids },
  cancel: { run: cancelCommand, words: 1, complete: ids },
  retry: { run: retryCommand, words: 1, complete: ids },
  logout: { run: logoutCommand },
  clear: { run: async ({ screen }) => screen.clear() },
  help: { run: async (desk) => showHelp(desk) },
};

const OTHER_NAMES: Readonly<Record<string, CommandName>> = {
  registr: "register",
  result: "show",
  cls: "clear",
  quit: "exit",
  "?": "help",
};
/** Usages and purposes stand side by side from so many columns on. */
const WIDE = 60;

/** Asks for commands and runs them until `exit`, the input's end, or Ctrl-C on an empty line. */
export class Shell {
  readonly #desk: Desk;
  readonly #history: History;

  constructor(desk: Desk, history: History) {
    this.#desk = desk;
    this.#history = history;
  }

  /** @returns whether all commands could be done */
  async run(): Promise<boolean> {
    const { screen, words } = this.#desk;
    screen.history = this.#history.read();
    let allDone = true;
    for (;;) {
      const line = await this.#line();
      const [given, ...rest] = (line ?? "exit").trim().split(/\s+/);
      if (given === undefined || given === "") continue;
      const name = OTHER_NAMES[given] ?? given;
      if (line !== undefined) this.#remember(name, line.trim(), rest);
      if (name === "exit") return allDone;
      const done = await this.#do(async () => {
        if (!isCommand(name)) return this.#unknown(given);
        if (rest.length > (COMMANDS[name].words ?? 0)) throw new Trouble(words.tooManyWords(words.commands[name][0]));
        await this.#desk.heed();
        await COMMANDS[name].run(this.#desk, rest);
      });
      allDone &&= done;
    }
  }

  /** @returns undefined: there is none any more */
  async #line(): Promise<string | undefined> {
    const complete = (line: string): readonly string[] => this.#complete(line);
    try {
      return await this.#desk.screen.ask({ prompt: this.#desk.words.prompt, command: true, complete });
    } catch (error) {
      if (error instanceof Interrupted || error instanceof InputEnded) return undefined;
      throw error;
    }
  }

  /** @returns whether it could be done */
  async #do(work: () => Promise<void>): Promise<boolean> {
    const { screen, words, look } = this.#desk;
    try {
      await work();
      return true;
    } catch (error) {
      if (error instanceof Interrupted) this.#desk.say(words.givenUp);
      else if (!(error instanceof InputEnded)) this.#desk.say(...describe(error, words).map((line) => paint(line, "red", look)));
      return screen.interactive;
    }
  }

  #unknown(given: string): never {
    const { words } = this.#desk;
    const guess = closest(given, COMMAND_NAMES);
    throw new Trouble(`${words.unknownCommand(clean(given), guess)}\n${words.knownCommands(COMMAND_NAMES)}`);
  }

  /** Up brings it back, today and later. What has words where none belong may hold anything, such as a password. */
  #remember(name: string, line: string, rest: readonly string[]): void {
    const kept = name === "exit" || (isCommand(name) && rest.length <= (COMMANDS[name].words ?? 0));
    if (kept && this.#desk.screen.interactive) this.#history.keep(line);
  }

  #complete(line: string): readonly string[] {
    const [given = "", word, ...more] = line.trimStart().split(/\s+/);
    if (word === undefined) return COMMAND_NAMES;
    const name = OTHER_NAMES[given] ?? given;
    return more.length === 0 && isCommand(name) ? (COMMANDS[name].complete?.(this.#desk, word) ?? []) : [];
  }
}

const isCommand = (name: string): name is keyof typeof COMMANDS => Object.hasOwn(COMMANDS, name);

function showHelp({ words, look, screen }: Desk): void {
  const width = Math.max(...COMMAND_NAMES.map((name) => Bun.stringWidth(words.commands[name][0])));
  const lines = COMMAND_NAMES.map((name) => {
    const [usage, purpose] = words.commands[name];
    const gap = " ".repeat(width - Bun.stringWidth(usage) + 2);
    return look.columns < WIDE ? `${usage}\n  ${paint(purpose, "dim", look)}` : `${usage}${gap}${paint(purpose, "dim", look)}`;
  });
  screen.print([...lines, ...(screen.interactive ? [words.helpKeys] : [])].join("\n"));
}
