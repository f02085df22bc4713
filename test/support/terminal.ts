/** A real terminal with a program in it: a pseudo-terminal of the system, and an emulator that knows what its screen shows. */
import { Terminal as Emulator } from "@xterm/headless";
import { PATIENCE_MS, within } from "./waiting.ts";

/** Keys as a terminal sends them. */
export const KEYS = {
  enter: "\r",
  tab: "\t",
  up: "\x1b[A",
  left: "\x1b[D",
  ctrlC: "\x03",
  ctrlD: "\x04",
  ctrlZ: "\x1a",
} as const;

/** A shell that runs a command, and brings it back as soon as Ctrl-Z has stopped it. */
export const broughtBack = (command: readonly string[]): string[] => ["sh", "-c", 'set -m; "$@"; fg', "sh", ...command];

export interface TerminalOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly columns?: number;
  readonly rows?: number;
}

export class Terminal implements AsyncDisposable {
  readonly pid: number;
  /** The exit code. */
  readonly exited: Promise<number>;
  /** All that the program has written, escape codes included. */
  written = "";
  readonly #emulator: Emulator;
  readonly #device: Bun.Terminal;
  readonly #child: Bun.Subprocess;
  readonly #looks = new Set<() => void>();

  constructor(command: readonly string[], { cwd = "/", env = {}, columns = 80, rows = 24 }: TerminalOptions = {}) {
    this.#emulator = new Emulator({ cols: columns, rows, scrollback: 1_000, allowProposedApi: true });
    const decoder = new TextDecoder();
    // Made by spawn itself, as only then it is the terminal that controls the child: Ctrl-C becomes a signal.
    this.#child = Bun.spawn([...command], {
      cwd,
      env: { TERM: "xterm-256color", ...env },
      terminal: {
        cols: columns,
        rows,
        data: (_, chunk) => {
          const text = decoder.decode(chunk, { stream: true });
          this.written += text;
          this.#emulator.write(text, () => this.#look());
        },
      },
    });
    this.#device = this.#child.terminal as Bun.Terminal;
    this.pid = this.#child.pid;
    this.exited = this.#child.exited;
  }

  /** What is on the screen and has scrolled out of it, a line each, without empty ones at the end. */
  get lines(): string[] {
    const { buffer } = this.#emulator;
    const all = Array.from(
      { length: buffer.active.length },
      (_, i) => buffer.active.getLine(i)?.translateToString().trimEnd() ?? "",
    );
    while (all.at(-1) === "") all.pop();
    return all;
  }

  /** Where the cursor stands, in the row as it is among `lines`. */
  get cursor(): { row: number; column: number } {
    const { cursorX, cursorY, baseY } = this.#emulator.buffer.active;
    return { row: baseY + cursorY, column: cursorX };
  }

  /** Whether the terminal shows what is typed by itself, as it does for a shell. */
  get echoes(): boolean {
    return (this.#device.localFlags & 0o10) !== 0;
  }

  type(text: string): void {
    this.#device.write(text);
  }

  resize(columns: number, rows: number): void {
    this.#emulator.resize(columns, rows);
    this.#device.resize(columns, rows);
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Waits until the screen shows something. */
  async until(fits: (lines: readonly string[]) => boolean, what: string, limitMs = PATIENCE_MS): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = (): void => {
      if (fits(this.lines)) resolve();
    };
    this.#looks.add(look);
    look();
    await within(promise, what, () => `; the screen:\n${this.lines.join("\n")}`, limitMs).finally(() => this.#looks.delete(look));
  }

  /** Waits until some line fits. */
  shows(pattern: RegExp): Promise<void> {
    return this.until((lines) => lines.some((line) => pattern.test(line)), String(pattern));
  }

  /** Waits until the last line, which is typed into, fits. */
  asks(pattern: RegExp): Promise<void> {
    return this.until((lines) => pattern.test(lines.at(-1) ?? ""), `the last line as ${pattern}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.exited;
    this.#device.close();
    this.#emulator.dispose();
  }

  #look(): void {
    for (const look of this.#looks) look();
  }
}
