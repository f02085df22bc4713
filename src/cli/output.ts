import { writeSync } from "node:fs";

const STDOUT = 1;
/** Between tries while whoever reads a pipe takes no more, in milliseconds. */
const AGAIN_MS = 1;

/** Standard output, in lines that are out before anything else happens. After the first that cannot be written there are none. */
export class Output {
  /** Why lines are missing. A reader who has gone, as `head` does, wanted no more: that is no trouble. */
  trouble: string | undefined;
  #ended = false;

  /** @returns whether it is out; not: nothing will be any more */
  line(text: string): boolean {
    let rest = Buffer.from(`${text}\n`);
    while (!this.#ended && rest.length > 0) rest = rest.subarray(this.#write(rest));
    return !this.#ended;
  }

  /** @returns how many bytes are out */
  #write(bytes: Uint8Array): number {
    try {
      return writeSync(STDOUT, bytes);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code === "EAGAIN") Bun.sleepSync(AGAIN_MS);
      else this.#end(code === "EPIPE" ? undefined : message);
      return 0;
    }
  }

  #end(trouble: string | undefined): void {
    this.#ended = true;
    this.trouble = trouble;
  }
}
