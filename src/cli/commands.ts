/** What a command is, for the list of them, for help, and for main. */
export interface Command {
  readonly name: string;
  /** One line. */
  readonly purpose: string;
  /** How it is called, without the program's name. */
  readonly usage: string;
  readonly flags: readonly (keyof typeof import("../config.ts").FLAGS)[];
  /** The words that can stand first behind its name, where there are such. */
  readonly words?: readonly string[];
  /** What help says beyond the flags, a line each. */
  readonly details?: readonly string[];
  /** One call that shows it. */
  readonly example: string;
  /** Not shown in the list. */
  readonly hidden?: boolean;
  /** @returns the exit code */
  readonly run: (args: readonly string[], io: Io) => Promise<number>;
}

/** The process as commands see it. */
export interface Io {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** A line on stdout. @returns whether it is out; not: nobody reads, or it cannot be written */
  out(line: string): boolean;
  error(line: string): void;
  /** Calls at each SIGTERM or SIGINT, with how many there have been. */
  onSignal(listener: (count: number) => void): void;
  /** How this program is started again, for a process of its own. */
  readonly self: readonly string[];
}
