import type { Database, Statement } from "bun:sqlite";
import type { Service } from "../../ports/runtime.ts";

/** The database counts as idle after so long without a commit, in milliseconds. */
const IDLE_MS = 250;

/**
 * Folds the write-ahead log back into the database while nothing else is to do: a checkpoint waits for the disk, and in
 * the middle of work everybody would wait with it. Under steady load SQLite's own automatic one still bounds the log.
 */
export class Checkpoints implements Service {
  readonly #commits: () => number;
  readonly #checkpoint: Statement;
  #seen = 0;
  #folded = 0;
  #timer: ReturnType<typeof setInterval> | undefined;

  /** @param commits how many transactions have been committed so far */
  constructor(db: Database, commits: () => number) {
    this.#commits = commits;
    this.#checkpoint = db.prepare("PRAGMA wal_checkpoint(PASSIVE)");
  }

  start(): void {
    this.#timer = setInterval(() => this.#look(), IDLE_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const commits = this.#commits();
    const idle = commits === this.#seen;
    this.#seen = commits;
    if (!idle || commits === this.#folded) return;
    this.#folded = commits;
    this.#checkpoint.get();
  }
}
