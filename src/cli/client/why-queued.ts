import type { TaskView } from "./shapes.ts";

/** A task that is queued for so long is asked why, and then again after so long, in milliseconds. */
const FIRST_MS = 2_000;
const AGAIN_MS = 5_000;

/** Finds out why one task stays queued: at a slow pace, and only while it does. */
export class WhyQueued {
  readonly #ask: () => Promise<TaskView>;
  readonly #tell: (why: string | undefined) => void;
  /** Of the time that it is queued now; undefined: it is not. */
  #round: object | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * @param ask gives the task; what fails is tried again, and is nobody's trouble here
   * @param tell hears why it waits; undefined: the server does not say, or it waits no more
   */
  constructor(ask: () => Promise<TaskView>, tell: (why: string | undefined) => void) {
    this.#ask = ask;
    this.#tell = tell;
  }

  /** The task has this status now. */
  heed(status: string): void {
    if ((status === "queued") === (this.#round !== undefined)) return;
    if (this.#round) {
      this.stop();
      return this.#tell(undefined);
    }
    this.#round = {};
    this.#askIn(FIRST_MS, this.#round);
  }

  stop(): void {
    this.#round = undefined;
    clearTimeout(this.#timer);
  }

  #askIn(ms: number, round: object): void {
    this.#timer = setTimeout(async () => {
      const task = await this.#ask().catch(() => undefined);
      // Another state may have been told meanwhile.
      if (this.#round !== round) return;
      if (task?.status === "queued") this.#tell(task.waiting);
      this.#askIn(AGAIN_MS, round);
    }, ms);
  }
}

/** Passes on reasons that say something else than the last one: figures and times, which change all the time, are nothing else. */
export function newReasons(tell: (why: string) => void): (why: string | undefined) => void {
  let last = "";
  return (why = "") => {
    const gist = why.replaceAll(/\d+/g, "");
    if (gist !== "" && gist !== last) tell(why);
    last = gist;
  };
}
