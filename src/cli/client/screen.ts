/** What the client asks and shows; a terminal and a pipe each do it in their way. */

/** Ctrl-C: what was being done is given up. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
}

/** Nothing more comes from the user. */
export class InputEnded extends Error {
  override readonly name = "InputEnded";
}

export interface Question {
  readonly prompt: string;
  /** What is typed is not shown. */
  readonly hidden?: boolean;
  /** A command: earlier ones can be had again, and Ctrl-C clears what is typed before it interrupts. */
  readonly command?: boolean;
  /** What the last word can become, each a whole word. */
  readonly complete?: (line: string) => readonly string[];
  /** Takes the question back: `ask` rejects with its reason. */
  readonly signal?: AbortSignal;
}

export interface Screen {
  /** Whether somebody sits there, who can be asked again. */
  readonly interactive: boolean;
  readonly styled: boolean;
  /** Columns and rows; Infinity where nobody looks. */
  readonly columns: number;
  readonly rows: number;
  /** Called by Ctrl-C while nothing is asked. */
  onInterrupt: (() => void) | undefined;
  /** Earlier commands, newest first. */
  history: readonly string[];
  /** Shows text, above what is being typed. */
  print(text: string): void;
  /** Lines that stand above what is being typed until others take their place; not shown in a pipe. */
  panel(lines: readonly string[]): void;
  clear(): void;
  /**
   * One line from the user, without its end.
   *
   * @throws Interrupted, InputEnded, or the reason of the question's signal
   */
  ask(question: Question): Promise<string>;
  /** Gives the terminal back; a question that is open rejects with InputEnded. */
  close(): void;
}
