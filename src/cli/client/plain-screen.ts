import * as readline from "node:readline";
import { InputEnded, type Question, type Screen } from "./screen.ts";

/** Lines that were read and not yet asked for: with so many, reading waits. */
const AHEAD_MAX = 1_000;

/** Lines in, lines out: for pipes. */
export class PlainScreen implements Screen {
  readonly interactive = false;
  readonly styled = false;
  readonly columns = Number.POSITIVE_INFINITY;
  readonly rows = Number.POSITIVE_INFINITY;
  onInterrupt: (() => void) | undefined;
  history: readonly string[] = [];
  readonly #reader: readline.Interface;
  readonly #out: (line: string) => boolean;
  readonly #ahead: string[] = [];
  #waiting: { resolve(line: string): void; reject(error: Error): void } | undefined;
  #ended = false;
  #closed = false;

  /** @param out says whether somebody still reads */
  constructor(input: NodeJS.ReadableStream, out: (line: string) => boolean) {
    this.#out = out;
    this.#reader = readline.createInterface({ input, terminal: false });
    this.#reader.on("line", (line) => this.#take(line));
    this.#reader.on("close", () => this.#end());
  }

  print(text: string): void {
    if (!this.#out(text)) this.close();
  }

  panel(): void {}

  clear(): void {}

  async ask({ signal }: Question): Promise<string> {
    signal?.throwIfAborted();
    const line = this.#ahead.shift();
    if (this.#closed || (this.#ended && line === undefined)) throw new InputEnded();
    if (line !== undefined) {
      if (!this.#ended) this.#reader.resume();
      return line;
    }
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    this.#waiting = { resolve, reject };
    return await promise;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#reader.close();
    this.onInterrupt?.();
  }

  #take(line: string): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting) return waiting.resolve(line);
    this.#ahead.push(line);
    if (this.#ahead.length >= AHEAD_MAX) this.#reader.pause();
  }

  #end(): void {
    this.#ended = true;
    this.#waiting?.reject(new InputEnded());
    this.#waiting = undefined;
  }
}
