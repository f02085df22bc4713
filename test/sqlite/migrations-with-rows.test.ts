import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { damageOf } from "../../src/drivers/sqlite/inspect.ts";
import { migrateDown, migrateUp } from "../../src/drivers/sqlite/migrate.ts";
import { type Migration, migrations } from "../../src/drivers/sqlite/migrations.ts";
import { contentOf, fill, sharedWith } from "../support/any-rows.ts";
import { history } from "../support/migration-history.ts";

/** A rebuilt table is quoted otherwise. */
const structure = (db: Database) =>
  db
    .query<{ type: string; name: string; sql: string | null }, []>(
      "SELECT type, name, sql FROM sqlite_master WHERE tbl_name <> '__drizzle_migrations' ORDER BY type, name",
    )
    .all()
    .map(({ sql, ...rest }) => ({ ...rest, sql: sql?.replace(/["`\s]/g, "") }));

/** Takes the last of these migrations up, down and up again on a database with rows in every table, before and after it. */
function goThereAndBack(list: readonly Migration[]): void {
  using db = new Database(":memory:");
  db.run("PRAGMA foreign_keys = ON");
  const [last, earlier] = [list.at(-1)?.tag, list.slice(0, -1)];
  migrateUp(db, { migrations: earlier });
  fill(db);
  const [schema, rows] = [structure(db), contentOf(db)];

  expect(migrateUp(db, { migrations: list })).toMatchObject({ tags: [last] });
  const later = structure(db);
  const kept = sharedWith(rows, contentOf(db));
  const expectKept = (): void => expect(sharedWith(contentOf(db), kept)).toEqual(kept);
  expectKept();
  fill(db);

  expect(migrateDown(db, 1, { migrations: list })).toMatchObject({ tags: [last] });
  expect(structure(db)).toEqual(schema);
  expectKept();
  expect(damageOf(db)).toBeUndefined();

  migrateUp(db, { migrations: list });
  expect(structure(db)).toEqual(later);
  expectKept();
  expect(damageOf(db)).toBeUndefined();
}

const upTo = (list: readonly Migration[], tag: string): readonly Migration[] =>
  list.slice(0, list.findIndex((migration) => migration.tag === tag) + 1);

describe("up, down and up again, with rows in every table: the schema comes back and what can stay stays", () => {
  test.each(migrations.map(({ tag }) => tag))("%s", (tag) => {
    goThereAndBack(upTo(migrations, tag));
  });
});

describe("a migration is found out", () => {
  const [first, second] = history as [Migration, Migration];
  const changed = (change: Partial<Migration>): readonly Migration[] => [first, { ...second, ...change }];
  const rebuilt = [
    "CREATE TABLE __old_parent (n INTEGER PRIMARY KEY, name TEXT)",
    "INSERT INTO __old_parent SELECT n, name FROM parent",
    "DROP TABLE parent",
    "ALTER TABLE __old_parent RENAME TO parent",
  ];

  test("but not one that goes all the way back", () => {
    expect(() => goThereAndBack(changed({ down: rebuilt }))).not.toThrow();
  });

  test.each<[string, Partial<Migration>]>([
    ["whose way back leaves another schema", {}],
    ["whose way back does nothing", { down: [] }],
    ["whose way back fails", { down: ["DROP INDEX nowhere"] }],
    ["whose way back loses rows", { down: rebuilt.toSpliced(1, 1, "DELETE FROM child") }],
    ["whose way back changes them", { down: rebuilt.toSpliced(1, 1, "INSERT INTO __old_parent SELECT n, 'x' FROM parent") }],
    ["that loses rows on its way up", { up: second.up.toSpliced(1, 1, "DELETE FROM child"), down: rebuilt }],
  ])("%s", (_, change) => {
    expect(() => goThereAndBack(changed(change))).toThrow();
  });
});
