import { appendFileSync, chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** So many commands are kept; the file is cut when it holds twice as many. */
const KEPT = 500;
/** Longer ones are not kept, in characters. */
const LINE_MAX = 500;

/** Commands of earlier times, in a file that only its user can read. What hinders it hinders nothing else. */
export class History {
  readonly #file: string;

  /** @param folder see `configFolder` */
  constructor(folder: string) {
    this.#file = join(folder, "history");
  }

  /** Newest first, each once. */
  read(): string[] {
    let lines: string[];
    try {
      lines = readFileSync(this.#file, "utf8")
        .split("\n")
        .filter((line) => line !== "");
    } catch {
      return [];
    }
    if (lines.length > 2 * KEPT) this.#cut(lines);
    return [...new Set(lines.reverse())].slice(0, KEPT);
  }

  keep(line: string): void {
    if (line.length > LINE_MAX) return;
    quietly(() => {
      mkdirSync(dirname(this.#file), { recursive: true, mode: 0o700 });
      appendFileSync(this.#file, `${line}\n`, { mode: 0o600 });
      chmodSync(this.#file, 0o600);
    });
  }

  #cut(lines: readonly string[]): void {
    const next = `${this.#file}.${process.pid}`;
    quietly(() => {
      writeFileSync(next, `${lines.slice(-KEPT).join("\n")}\n`, { mode: 0o600 });
      renameSync(next, this.#file);
    });
  }
}

function quietly(work: () => void): void {
  try {
    work();
  } catch {
    // A full disk or a folder that cannot be written costs the history and nothing else.
  }
}
