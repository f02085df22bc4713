import { Database } from "bun:sqlite";
import { beforeEach, describe, expect, test } from "bun:test";
import { type PendingWrites, pendingOn, type WriteKind } from "../../src/drivers/sqlite/pending-writes.ts";
import { type Prepared, preparedOn } from "../../src/drivers/sqlite/prepared.ts";
import { SqliteUnitOfWork } from "../../src/drivers/sqlite/unit-of-work.ts";
import { SqlMeter } from "../support/sql-meter.ts";

const MAKE: WriteKind = { parameters: 2, text: (tuples) => `INSERT INTO things (n, name) VALUES ${tuples}` };
const RENAME: WriteKind = {
  parameters: 2,
  text: (tuples) => `UPDATE things SET name = new.column2 FROM (VALUES ${tuples}) AS new WHERE things.n = new.column1`,
};

describe("writes that wait", () => {
  let db: Database;
  let sql: Prepared;
  let pending: PendingWrites;
  let work: SqliteUnitOfWork;

  beforeEach(() => {
    db = new Database(":memory:");
    db.run("CREATE TABLE things (n INTEGER PRIMARY KEY, name TEXT UNIQUE)");
    sql = preparedOn(db);
    pending = pendingOn(db);
    work = new SqliteUnitOfWork(db);
  });

  const make = (n: number, name = `thing ${n}`): void => pending.add(MAKE, n, [n, name]);
  const rename = (n: number, name: string): void => pending.add(RENAME, n, [n, name]);
  const names = (): unknown[] =>
    sql<{ name: string }>("SELECT name FROM things ORDER BY n")
      .all()
      .map(({ name }) => name);
  /** What another reader of the connection sees, for whom nothing is written first. */
  const stored = (): unknown[] => db.query("SELECT name FROM things").all();

  test("are stored with the commit, many in a statement", () => {
    using meter = new SqlMeter();
    work.now(() => {
      for (let n = 0; n < 1_000; n += 1) make(n);
      expect(meter.kinds).toEqual({});
    });
    expect(names()).toEqual(Array.from({ length: 1_000 }, (_, n) => `thing ${n}`));
    expect(meter.rows).toEqual({ "INSERT things": 1_000 });
    // 15 times 64, twice 16, twice 4.
    expect(meter.kinds).toEqual({ "INSERT things": 19, "SELECT things": 1 });
  });

  test("go out before any other statement", () => {
    work.now(() => {
      make(1);
      make(2);
      expect(stored()).toEqual([]);
      expect(names()).toEqual(["thing 1", "thing 2"]);
    });
  });

  test("a row that is changed twice ends as it was changed last, and each row by itself", () => {
    work.now(() => {
      make(1);
      make(2);
      rename(1, "first");
      rename(2, "second");
      rename(1, "at last");
    });
    expect(names()).toEqual(["at last", "second"]);
  });

  test("outside of a transaction nothing waits", () => {
    make(1);
    expect(stored()).toHaveLength(1);
  });

  test("are gone with a transaction that fails, be it by one of them", async () => {
    expect(() =>
      work.now(() => {
        make(1);
        throw new Error("no");
      }),
    ).toThrow("no");
    expect(names()).toEqual([]);
    make(1, "taken");
    expect(() =>
      work.now(() => {
        make(2);
        make(3, "taken");
        make(4);
      }),
    ).toThrow("UNIQUE");
    expect(names()).toEqual(["taken"]);
    // In a group only the culprit is told.
    const group = [2, 3, 4].map((n) => work.grouped(() => make(n, n === 3 ? "taken" : `thing ${n}`)));
    expect((await Promise.allSettled(group)).map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(names()).toEqual(["taken", "thing 2", "thing 4"]);
  });
});
