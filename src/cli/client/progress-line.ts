import { type Look, type TaskState, taskLine } from "./show.ts";

/** Where there is no line to redraw, progress between two transitions gets one no more often than this, in milliseconds. */
const PLAIN_MS = 1_000;

/** Shows how a task goes. */
export interface Display {
  /** @param stored a transition, not just progress */
  task(task: TaskState, stored: boolean): void;
  /** A line that stays. */
  say(line: string): void;
  end(): void;
}

/** One line of a terminal that is drawn again in place. */
export class ProgressLine implements Display {
  readonly #output: NodeJS.WriteStream;
  readonly #look: Look;
  #task: TaskState | undefined;
  readonly #redraw = (): void => this.#draw();

  constructor(output: NodeJS.WriteStream, look: Look) {
    this.#output = output;
    this.#look = look;
    output.on("resize", this.#redraw);
  }

  task(task: TaskState): void {
    this.#task = task;
    this.#draw();
  }

  /** Why the task is queued for so long, until it changes. */
  waits(why: string | undefined): void {
    if (!this.#task) return;
    const { waiting: _, ...task } = this.#task;
    this.task(why === undefined ? task : { ...task, waiting: why });
  }

  say(line: string): void {
    this.#output.write(`\r\x1b[K${line}\n`);
    this.#draw();
  }

  end(): void {
    this.#output.off("resize", this.#redraw);
    this.#task = undefined;
    this.#output.write("\r\x1b[K");
  }

  /** A line that ends one column early never wraps. */
  #draw(): void {
    if (!this.#task) return;
    const columns = (this.#output.columns || 80) - 1;
    this.#output.write(`\r\x1b[K${taskLine(this.#task, { ...this.#look, columns })}`);
  }
}

/** A line for each transition, and one now and then for progress: for pipes, files and terminals that cannot redraw. */
export class PlainLines implements Display {
  readonly #write: (line: string) => void;
  readonly #look: Look;
  /** Runs while progress has to wait. */
  #timer: ReturnType<typeof setTimeout> | undefined;
  #waiting: TaskState | undefined;

  constructor(write: (line: string) => void, look: Look) {
    this.#write = write;
    this.#look = look;
  }

  task(task: TaskState, stored: boolean): void {
    if (!stored && this.#timer) this.#waiting = task;
    else this.#show(task);
  }

  say(line: string): void {
    this.#write(line);
  }

  end(): void {
    clearTimeout(this.#timer);
  }

  #show(task: TaskState): void {
    this.end();
    this.#waiting = undefined;
    this.#write(taskLine(task, this.#look));
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#waiting) this.#show(this.#waiting);
    }, PLAIN_MS);
  }
}
