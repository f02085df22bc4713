import type { EventEmitter } from "node:events";
import * as readline from "node:readline";
import { Writable } from "node:stream";
import { InputEnded, Interrupted, type Question, type Screen } from "./screen.ts";
import { fit } from "./show.ts";

export interface TerminalInput extends NodeJS.ReadableStream {
  setRawMode?(raw: boolean): unknown;
}
export interface TerminalOutput extends EventEmitter {
  readonly columns?: number;
  readonly rows?: number;
  write(text: string): unknown;
}

export interface TerminalOptions {
  readonly styled: boolean;
  /** It knows no escape codes: nothing is redrawn. */
  readonly dumb: boolean;
}

interface Open {
  readonly question: Question;
  resolve(line: string): void;
  reject(error: Error): void;
}

/** What node:readline has beside its declared members. */
type Reader = readline.Interface & { line: string; cursor: number; history: string[]; prevRows: number };

const HISTORY_SIZE = 500;
/** Lines that were typed before they were asked for: so many are kept. */
const AHEAD_MAX = 1_000;

/**
 * A terminal with one line at its foot that is typed into. node:readline edits that line; all that is written, readline's own
 * output included, goes through here, so that text can be put above the line at any time and the line stays whole.
 */
export class TerminalScreen implements Screen {
  readonly interactive = true;
  readonly styled: boolean;
  onInterrupt: (() => void) | undefined;
  readonly #dumb: boolean;
  readonly #output: TerminalOutput;
  readonly #reader: Reader;
  readonly #ahead: string[] = [];
  /** Commands, newest first; readline has them only while a command is asked. */
  #history: readonly string[] = [];
  #panel: readonly string[] = [];
  /** The panel as it stands there. */
  #drawn: readonly string[] = [];
  #open: Open | undefined;
  /** While something is redrawn, all of it is held, to be written at once. */
  #held: string | undefined;
  #closed = false;

  constructor(input: TerminalInput, output: TerminalOutput, { styled, dumb }: TerminalOptions) {
    this.styled = styled;
    this.#dumb = dumb;
    this.#output = output;
    this.#reader = readline.createInterface({
      input,
      output: this.#echo(),
      terminal: true,
      prompt: "",
      historySize: HISTORY_SIZE,
      removeHistoryDuplicates: true,
      completer: (line: string) => this.#complete(line),
    }) as Reader;
    this.#reader.on("line", (line) => this.#entered(line));
    this.#reader.on("SIGINT", () => this.#interrupted());
    this.#reader.on("SIGCONT", () => this.#continued());
    this.#reader.on("close", () => this.close());
    output.on("resize", this.#resized);
    // Behind readline, which has put itself there first.
    input.on("keypress", () => this.#followCursor());
  }

  get columns(): number {
    return this.#output.columns || 80;
  }

  get rows(): number {
    return this.#output.rows || 24;
  }

  get history(): readonly string[] {
    return this.#history;
  }

  set history(lines: readonly string[]) {
    this.#history = lines;
  }

  print(text: string): void {
    this.#redraw(() => this.#write(`${text}\n`));
  }

  panel(lines: readonly string[]): void {
    if (this.#dumb || (lines.length === 0 && this.#panel.length === 0)) return;
    this.#redraw(() => {
      this.#panel = lines;
    });
  }

  clear(): void {
    if (this.#dumb) return;
    this.#redraw(() => this.#write("\x1b[H\x1b[2J\x1b[3J"));
  }

  ask(question: Question): Promise<string> {
    const { prompt, hidden, command, signal } = question;
    if (this.#closed) return Promise.reject(new InputEnded());
    if (signal?.aborted) return Promise.reject(signal.reason);
    const early = this.#ahead.shift();
    if (early !== undefined) {
      this.print(`${prompt}${hidden ? "" : early}`);
      return Promise.resolve(early);
    }
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    this.#redraw(() => {
      this.#open = { question, resolve, reject };
      this.#reader.history = command ? [...this.#history] : [];
      this.#reader.setPrompt(prompt);
    });
    const withdraw = (): void => {
      if (this.#open?.question === question) this.#redraw(() => this.#release()?.reject(signal?.reason as Error));
    };
    signal?.addEventListener("abort", withdraw, { once: true });
    return promise.finally(() => signal?.removeEventListener("abort", withdraw));
  }

  close(): void {
    if (this.#closed) return;
    const foot = this.#foot();
    const last = foot === "" || this.#dumb ? "" : `${foot}\n`;
    this.#redraw(() => this.#write(last), this.#cursorRows(), true);
    this.#closed = true;
    this.#output.off("resize", this.#resized);
    this.#reader.close();
    this.#release()?.reject(new InputEnded());
    this.onInterrupt?.();
  }

  /** What readline writes; nothing of it while what is typed is hidden. */
  #echo(): Writable {
    const echo = new Writable({
      decodeStrings: false,
      write: (text: string | Uint8Array, _encoding, done) => {
        if (!this.#hidden) this.#write(String(text));
        done();
      },
    });
    return Object.defineProperty(echo, "columns", { get: () => this.columns });
  }

  get #hidden(): boolean {
    return this.#open?.question.hidden === true;
  }

  /** The open question has its end; what is typed until the next one is typed ahead. */
  #release(): Open | undefined {
    const open = this.#open;
    if (open?.question.command) this.#history = [...this.#reader.history];
    this.#open = undefined;
    this.#reader.history = [];
    this.#reader.setPrompt("");
    return open;
  }

  /** readline has gone to the next row. The line stays in the scrollback, the panel above it does not. */
  #entered(line: string): void {
    const hidden = this.#hidden;
    const shown = `${this.#open?.question.prompt ?? ""}${hidden ? "" : line}`;
    if (hidden) this.#write("\n");
    const open = this.#release();
    if (!open && this.#ahead.length < AHEAD_MAX) this.#ahead.push(line);
    this.#redraw(() => {
      if (open && !this.#dumb) this.#write(`${shown}\n`);
    }, placeOf(shown, this.columns).rows + 1);
    open?.resolve(line);
  }

  /**
   * readline forgets that what is typed at the line's end has gone to the next row, and takes the wrong one for the line's first
   * when it draws the line again. A terminal goes there with the character behind the last column only: drawing does it at once.
   */
  #followCursor(): void {
    if (this.#closed || this.#dumb || this.#hidden) return;
    const { rows, cols } = this.#reader.getCursorPos();
    if (this.#reader.prevRows === rows) return;
    const behindLast = cols === 0 && this.#reader.cursor === this.#reader.line.length;
    this.#reader.prevRows = behindLast ? rows - 1 : rows;
    if (behindLast) this.#reader.prompt(true);
  }

  #interrupted(): void {
    const open = this.#open;
    if (!open) return this.onInterrupt?.();
    const cleared = open.question.command === true && this.#reader.line !== "";
    const foot = this.#foot();
    this.#redraw(() => {
      this.#write(`${foot}^C\n`);
      this.#reader.line = "";
      this.#reader.cursor = 0;
      if (!cleared) this.#release();
    });
    if (!cleared) open.reject(new Interrupted());
  }

  /** Back from Ctrl-Z, which has paused the input: what was drawn stands above what others have written since. */
  #continued(): void {
    this.#reader.resume();
    this.#drawn = [];
    this.#redraw(() => undefined, 0);
  }

  readonly #resized = (): void => this.#redraw(() => undefined);

  /**
   * Takes away what stands at the foot, lets something happen, and puts it there again.
   *
   * @param rows how many rows the cursor is below the beginning of the line that is typed into
   */
  #redraw(change: () => void, rows = this.#cursorRows(), last = false): void {
    if (this.#closed) return change();
    this.#held = "";
    if (!this.#dumb) this.#write(upAndClear(rows + this.#drawnRows()));
    else if (this.#foot() !== "") this.#write("\n");
    change();
    if (!last) this.#draw();
    const text = this.#held;
    this.#held = undefined;
    this.#write(text);
  }

  #draw(): void {
    if (this.#dumb) return this.#write(this.#foot());
    // A line that ends one column early never wraps.
    this.#drawn = this.#panel.slice(0, Math.max(0, this.rows - 3)).map((line) => fit(line, this.columns - 1));
    for (const line of this.#drawn) this.#write(`${line}\n`);
    if (this.#hidden) return this.#write(this.#foot());
    this.#reader.prevRows = 0;
    this.#reader.prompt(true);
  }

  /** In a raw terminal a line's end does not take the cursor back to the first column. */
  #write(text: string): void {
    if (this.#held !== undefined) this.#held += text;
    else if (text !== "") this.#output.write(text.replaceAll(/\r?\n/g, "\r\n"));
  }

  /** The line at the foot as it is shown. */
  #foot(): string {
    return `${this.#open?.question.prompt ?? ""}${this.#hidden ? "" : this.#reader.line}`;
  }

  #cursorRows(): number {
    return this.#hidden ? placeOf(this.#foot(), this.columns).rows : this.#reader.getCursorPos().rows;
  }

  /** After the terminal has become narrower, what was drawn may have wrapped. */
  #drawnRows(): number {
    const rowsOf = (line: string): number => Math.max(1, Math.ceil(Bun.stringWidth(line) / this.columns));
    return this.#drawn.reduce((rows, line) => rows + rowsOf(line), 0);
  }

  /** What readline is to insert. What is possible beside is listed above the line, where readline would list it below. */
  #complete(line: string): [string[], string] {
    const { complete, command } = this.#open?.question ?? {};
    const word = /\S*$/.exec(line)?.[0] ?? "";
    const fitting = (complete?.(line) ?? []).filter((each) => each.startsWith(word));
    const [only] = fitting;
    if (fitting.length === 1 && only !== undefined) return [[command ? `${only} ` : only], word];
    const shared = sharedStart(fitting);
    if (shared.length > word.length) return [[shared], word];
    if (fitting.length > 1) this.print(Bun.wrapAnsi(fitting.join("  "), this.columns));
    return [[], word];
  }
}

const upAndClear = (rows: number): string => `${rows > 0 ? `\x1b[${rows}A` : ""}\r\x1b[J`;

/** Where the cursor stands behind a text that began in the first column. */
export function placeOf(text: string, columns: number): { rows: number; column: number } {
  let rows = 0;
  let column = 0;
  for (const character of text) {
    const width = Bun.stringWidth(character);
    // A wide character that does not fit goes to the next row whole; behind the last column comes the next row.
    if (column + width > columns) [rows, column] = [rows + 1, 0];
    column += width;
    if (column === columns) [rows, column] = [rows + 1, 0];
  }
  return { rows, column };
}

/** What all words begin with. */
export function sharedStart([first = "", ...others]: readonly string[]): string {
  let length = first.length;
  for (const other of others) while (!other.startsWith(first.slice(0, length))) length -= 1;
  return first.slice(0, length);
}
