import type { Database, Statement } from "bun:sqlite";
import type { Log, Service } from "../../ports/runtime.ts";
import { LOG_BYTES } from "./database.ts";
import { statOf } from "./disk.ts";
import { attempt } from "./storage-error.ts";

/** The database counts as idle after so long without a commit, in milliseconds. */
const IDLE_MS = 250;
const MIB = 1024 * 1024;

/**
 * Folds the write-ahead log back into the database while nothing else is to do: a checkpoint waits for the disk, and in
 * the middle of work everybody would wait with it. Under steady load SQLite's own automatic one still bounds the log,
 * unless another process keeps reading an old state of the database: it is told when the log grows for that.
 */
export class Checkpoints implements Service {
  readonly #commits: () => number;
  readonly #checkpoint: Statement;
  readonly #file: string;
  readonly #log: Pick<Log, "warn" | "info">;
  readonly #boundBytes: number;
  #seen = 0;
  #folded = 0;
  #timer: ReturnType<typeof setInterval> | undefined;

  #trouble: string | undefined;

  /**
   * @param commits how many transactions have been committed so far
   * @param boundBytes a larger log is told of
   */
  constructor(db: Database, commits: () => number, log: Pick<Log, "warn" | "info">, boundBytes = 2 * LOG_BYTES) {
    this.#commits = commits;
    this.#file = `${db.filename}-wal`;
    this.#log = log;
    this.#boundBytes = boundBytes;
    this.#checkpoint = db.prepare("PRAGMA wal_checkpoint(PASSIVE)");
  }

  start(): void {
    this.#timer = setInterval(() => this.#look(), IDLE_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Why the log takes more and more of the disk; undefined: it does not. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  #look(): void {
    this.#measure();
    const commits = this.#commits();
    const idle = commits === this.#seen;
    this.#seen = commits;
    if (!idle || commits === this.#folded) return;
    this.#folded = commits;
    attempt(() => this.#checkpoint.get());
  }

  #measure(): void {
    const size = statOf(this.#file)?.size ?? 0;
    const had = this.#trouble;
    this.#trouble =
      size <= this.#boundBytes
        ? undefined
        : `the write-ahead log has grown to ${Math.round(size / MIB)} MiB: another process reads the database for very long`;
    if (this.#trouble !== undefined && had === undefined) this.#log.warn(this.#trouble);
    if (this.#trouble === undefined && had !== undefined) this.#log.info("the write-ahead log is short again");
  }
}
