import type { Database, Statement } from "bun:sqlite";
import { Unavailable } from "../../domain/errors.ts";
import type { Transaction, UnitOfWork } from "../../ports/tasks.ts";
import { Disk } from "./disk.ts";
import { type PendingWrites, pendingOn } from "./pending-writes.ts";

interface Item {
  readonly run: (tx: Transaction) => unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (reason: unknown) => void;
}

/** A group commit of so many items or more says that there is load. */
const LOADED = 8;

/** The effects of one transaction, kept until it is known how it ended. */
class Effects implements Transaction {
  readonly #committed: (() => void)[] = [];
  readonly #undo: (() => void)[] = [];

  afterCommit(effect: () => void): void {
    this.#committed.push(effect);
  }

  onRollback(undo: () => void): void {
    this.#undo.push(undo);
  }

  commit(): void {
    for (const effect of this.#committed) effect();
  }

  rollback(): void {
    for (const undo of this.#undo.reverse()) undo();
  }
}

/**
 * Transactions on the one connection. The group commit puts all work of one turn of the event loop into a
 * single transaction: a commit costs more than the rows of a whole turn.
 */
export class SqliteUnitOfWork implements UnitOfWork {
  readonly #db: Database;
  readonly #onRollback: () => void;
  readonly #disk: Disk;
  /** Transactions committed so far. */
  commits = 0;
  #waiting: Item[] = [];
  /** Of the last group commit. */
  #lastSize = 0;
  readonly #pending: PendingWrites;
  readonly #begin: Statement;
  readonly #commit: Statement;

  /** @param onRollback called after each rollback, before the work's own undo steps: drop what was cached */
  constructor(db: Database, onRollback: () => void = () => {}, disk = new Disk()) {
    this.#db = db;
    this.#onRollback = onRollback;
    this.#disk = disk;
    this.#pending = pendingOn(db);
    this.#begin = db.prepare("BEGIN IMMEDIATE");
    this.#commit = db.prepare("COMMIT");
  }

  /**
   * Why nothing can be stored; undefined: it can. After a failure it is tried again with each call, so that whoever asks
   * hears of the end of the trouble though nobody else stores anything.
   */
  trouble(): string | undefined {
    if (this.#disk.trouble !== undefined) {
      try {
        // Another value each time: SQLite writes no page whose content stays the same.
        this.now(() => this.#db.run("INSERT OR REPLACE INTO meta (key, value) VALUES ('disk_probe', hex(randomblob(8)))"));
      } catch {
        // It is still so.
      }
    }
    return this.#disk.trouble;
  }

  now<T>(work: (tx: Transaction) => T): T {
    const effects = new Effects();
    const value = this.#transact(effects, () => work(effects));
    effects.commit();
    return value;
  }

  grouped<T>(work: (tx: Transaction) => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#waiting.push({ run: work, resolve: resolve as Item["resolve"], reject }) === 1) this.#flushSoon();
    });
  }

  /** At the end of this turn; under load of the next one, whose requests are under way already: half as many commits. */
  #flushSoon(): void {
    const flush = (): void => this.flush();
    if (this.#lastSize < LOADED) setImmediate(flush);
    else setImmediate(() => setImmediate(flush));
  }

  /** Commits what waits, at once. */
  flush(): void {
    const items = this.#waiting;
    if (items.length === 0) return;
    this.#waiting = [];
    this.#lastSize = items.length;
    const effects = new Effects();
    let values: unknown[];
    try {
      values = this.#transact(effects, () => items.map((item) => item.run(effects)));
    } catch (error) {
      // Each by itself would meet the disk's trouble again.
      if (items.length === 1 || error instanceof Unavailable) for (const item of items) item.reject(error);
      else for (const item of items) this.#alone(item);
      return;
    }
    effects.commit();
    items.forEach((item, i) => {
      item.resolve(values[i]);
    });
  }

  /** One item spoiled its group: each is tried by itself, so that only the culprit is told. */
  #alone(item: Item): void {
    try {
      item.resolve(this.now(item.run));
    } catch (error) {
      item.reject(error);
    }
  }

  #transact<T>(effects: Effects, work: () => T): T {
    try {
      return this.#disk.store(() => {
        this.#begin.run();
        this.#pending.begin();
        const value = work();
        this.#pending.end();
        this.#commit.run();
        this.commits += 1;
        return value;
      });
    } catch (error) {
      // A full disk may have rolled back already.
      if (this.#db.inTransaction) this.#db.run("ROLLBACK");
      this.#pending.drop();
      this.#onRollback();
      effects.rollback();
      throw error;
    }
  }
}
