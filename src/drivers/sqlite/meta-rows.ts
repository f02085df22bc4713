import type { Prepared } from "./prepared.ts";

/** Single facts about a data directory. */
export class MetaRows {
  readonly #sql: Prepared;

  constructor(sql: Prepared) {
    this.#sql = sql;
  }

  get(key: string): string | undefined {
    return this.#sql<{ value: string }>("SELECT value FROM meta WHERE key = ?").get(key)?.value;
  }

  /** @returns the value */
  set(key: string, value: string): string {
    this.#sql("INSERT INTO meta (key, value) VALUES (?,?) ON CONFLICT (key) DO UPDATE SET value = excluded.value").run(
      key,
      value,
    );
    return value;
  }
}

/** Seqs are taken from the database in blocks, so that a start needs no look at the rows; a crash leaves a gap. */
const BLOCK = 10_000;

/** The one counter of stored transitions. */
export class Seqs {
  readonly #meta: MetaRows;
  #current: number;
  /** The last one of the block that this process has taken. */
  #limit: number;

  constructor(meta: MetaRows) {
    this.#meta = meta;
    this.#current = Number(meta.get("seq_limit") ?? 0);
    this.#limit = this.#current;
  }

  get current(): number {
    return this.#current;
  }

  next(): number {
    if (this.#current === this.#limit) {
      this.#limit = this.#current + BLOCK;
      this.#meta.set("seq_limit", String(this.#limit));
    }
    this.#current += 1;
    return this.#current;
  }

  /** The taking of a block may have been rolled back: the next one takes another. */
  forget(): void {
    this.#limit = this.#current;
  }
}
