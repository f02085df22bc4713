import type { Database, SQLQueryBindings, Statement } from "bun:sqlite";

/** Rows in one statement, largest first: what is left over of one size is written in the next. */
const SIZES = [64, 16, 4, 1];

/** The parameters of a row. */
type Row = readonly SQLQueryBindings[];

/** Writes rows of one kind, told apart by the object. */
export interface WriteKind {
  /** How many a row has. */
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
  readonly #statements = new Map<WriteKind, Map<number, Statement>>();
  /** By kind, in the order in which the kinds came up. */
  readonly #waiting = new Map<WriteKind, Row[]>();
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
  add(kind: WriteKind, key: number, row: Row): void {
    if (this.#keys.has(key)) this.flush();
    this.#keys.add(key);
    const waiting = this.#waiting.get(kind);
    if (waiting) waiting.push(row);
    else this.#waiting.set(kind, [row]);
    if (!this.#inTransaction) this.flush();
  }

  /** Writes what waits. */
  flush(): void {
    if (this.#keys.size === 0) return;
    const waiting = [...this.#waiting];
    this.#clear();
    for (const [kind, rows] of waiting) this.#write(kind, rows);
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

  #write(kind: WriteKind, rows: readonly Row[]): void {
    let at = 0;
    for (const size of SIZES) {
      for (; rows.length - at >= size; at += size) {
        this.#statement(kind, size).run(...rows.slice(at, at + size).flat());
      }
    }
  }

  #statement(kind: WriteKind, rows: number): Statement {
    let statements = this.#statements.get(kind);
    if (!statements) {
      statements = new Map();
      this.#statements.set(kind, statements);
    }
    let statement = statements.get(rows);
    if (!statement) {
      const tuple = `(${Array(kind.parameters).fill("?").join(",")})`;
      statement = this.#db.prepare(kind.text(Array(rows).fill(tuple).join(",")));
      statements.set(rows, statement);
    }
    return statement;
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
