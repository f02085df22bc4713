import type { Database, SQLQueryBindings, Statement } from "bun:sqlite";

/** Rows in one statement, largest first: what is left over of one size is written in the next. */
const SIZES = [64, 16, 4, 1];

/** Writes rows of one kind, told apart by the object. */
export interface WriteKind {
  /** Of a row. */
  readonly parameters: number;
  /** The statement for some rows, whose parameters follow one another. */
  text(tuples: string): string;
}

/**
 * Writes of a transaction that wait to go out many in a statement: one for each row would cost SQLite more than the row does.
 * They go out before any other statement on the connection, and before the commit, so that nobody sees that they waited.
 */
export class PendingWrites {
  readonly #db: Database;
  readonly #statements = new Map<WriteKind, Statement[]>();
  /** By kind, in the order in which the kinds came up. */
  readonly #waiting = new Map<WriteKind, SQLQueryBindings[]>();
  readonly #keys = new Set<number>();
  #inTransaction = false;

  constructor(db: Database) {
    this.#db = db;
  }

  /** A transaction has begun: what is added waits from now on. */
  begin(): void {
    this.#inTransaction = true;
  }

  /** Has a row written, no later than the commit. One that waits already is written before it is changed once more. */
  add(kind: WriteKind, key: number, values: readonly SQLQueryBindings[]): void {
    if (this.#keys.has(key)) this.flush();
    this.#keys.add(key);
    const waiting = this.#waiting.get(kind);
    if (waiting) waiting.push(...values);
    else this.#waiting.set(kind, [...values]);
    if (!this.#inTransaction) this.flush();
  }

  /** Writes what waits. */
  flush(): void {
    if (this.#keys.size === 0) return;
    const waiting = [...this.#waiting];
    this.#clear();
    for (const [kind, values] of waiting) this.#write(kind, values);
  }

  /** The transaction is about to be committed. */
  end(): void {
    this.flush();
    this.#inTransaction = false;
  }

  /** The transaction has failed. */
  drop(): void {
    this.#clear();
    this.#inTransaction = false;
  }

  #clear(): void {
    this.#waiting.clear();
    this.#keys.clear();
  }

  #write(kind: WriteKind, values: readonly SQLQueryBindings[]): void {
    let at = 0;
    for (const [index, rows] of SIZES.entries()) {
      const parameters = rows * kind.parameters;
      while (values.length - at >= parameters) {
        this.#statement(kind, index, rows).run(...values.slice(at, at + parameters));
        at += parameters;
      }
    }
  }

  #statement(kind: WriteKind, index: number, rows: number): Statement {
    let statements = this.#statements.get(kind);
    if (!statements) {
      statements = [];
      this.#statements.set(kind, statements);
    }
    const tuple = `(${Array(kind.parameters).fill("?").join(",")})`;
    statements[index] ??= this.#db.prepare(kind.text(Array(rows).fill(tuple).join(",")));
    return statements[index];
  }
}

const connections = new WeakMap<Database, PendingWrites>();

/** What waits on a connection. */
export function pendingOn(db: Database): PendingWrites {
  let pending = connections.get(db);
  if (!pending) {
    pending = new PendingWrites(db);
    connections.set(db, pending);
  }
  return pending;
}
