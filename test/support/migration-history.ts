import type { Migration } from "../../src/drivers/sqlite/migrations.ts";

/** A made-up history with rows to keep: a parent and child, then a rebuilt parent and a new column. */
export const history: readonly Migration[] = [
  {
    tag: "0000_first",
    when: 1_000,
    hash: "a",
    up: [
      "CREATE TABLE parent (n INTEGER PRIMARY KEY, name TEXT)",
      "CREATE TABLE child (n INTEGER PRIMARY KEY, parent INTEGER NOT NULL REFERENCES parent(n) ON DELETE CASCADE)",
    ],
    down: ["DROP TABLE child", "DROP TABLE parent"],
  },
  {
    tag: "0001_second",
    when: 2_000,
    hash: "b",
    up: [
      "CREATE TABLE __new_parent (n INTEGER PRIMARY KEY, name TEXT NOT NULL)",
      "INSERT INTO __new_parent SELECT n, coalesce(name, '') FROM parent",
      "DROP TABLE parent",
      "ALTER TABLE __new_parent RENAME TO parent",
      "CREATE INDEX parent_name ON parent (name)",
    ],
    down: ["DROP INDEX parent_name"],
  },
  {
    tag: "0002_third",
    when: 3_000,
    hash: "c",
    up: ["ALTER TABLE child ADD note TEXT"],
    down: ["ALTER TABLE child DROP COLUMN note"],
  },
];
