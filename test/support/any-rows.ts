/** Rows for any schema, so that a migration meets some in every table without knowing what they mean. */
import type { Database } from "bun:sqlite";

const ROWS = 3;

interface Column {
  readonly name: string;
  readonly type: string;
}
interface Reference {
  readonly table: string;
  readonly from: string;
  readonly to: string | null;
}
type Row = Readonly<Record<string, unknown>>;
/** All that a database holds: rows by table, in order. */
export type Content = Readonly<Record<string, readonly Row[]>>;

const tables = (db: Database): string[] =>
  db
    .query<{ name: string }, []>(
      "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite@_%' ESCAPE '@' AND name <> '__drizzle_migrations' ORDER BY name",
    )
    .all()
    .map(({ name }) => name);
const columns = (db: Database, table: string): Column[] => db.query<Column, []>(`PRAGMA table_info("${table}")`).all();
const references = (db: Database, table: string): Reference[] =>
  db.query<Reference, []>(`PRAGMA foreign_key_list("${table}")`).all();

/** Puts a few rows into each table that has none; those that they point at come first. */
export function fill(db: Database): void {
  const waiting = new Set(tables(db));
  while (waiting.size > 0) {
    const next = [...waiting].find((table) =>
      references(db, table).every((each) => each.table === table || !waiting.has(each.table)),
    );
    if (next === undefined) throw new Error(`tables that point at each other: ${[...waiting].join(", ")}`);
    waiting.delete(next);
    if (db.query(`SELECT 1 FROM "${next}"`).get() === null) fillTable(db, next);
  }
}

function fillTable(db: Database, table: string): void {
  const parents = new Map(references(db, table).map((each) => [each.from, each]));
  const all = columns(db, table);
  const names = all.map(({ name }) => `"${name}"`).join(", ");
  const insert = db.prepare(`INSERT INTO "${table}" (${names}) VALUES (${all.map(() => "?").join(", ")})`);
  for (let row = 0; row < ROWS; row += 1) {
    insert.run(...all.map((column) => madeUp(db, `${table}.${column.name}`, column.type, parents.get(column.name), row)));
  }
}

function madeUp(db: Database, name: string, type: string, parent: Reference | undefined, row: number): string | number {
  if (parent) {
    const key = parent.to ?? "rowid";
    const found = db.query<{ key: number }, [number]>(`SELECT "${key}" AS key FROM "${parent.table}" LIMIT 1 OFFSET ?`).get(row);
    // A table that points at itself: at no other row than this one.
    return found?.key ?? row + 1;
  }
  switch (type.toUpperCase()) {
    case "INTEGER":
      return row + 1;
    case "REAL":
      return row + 0.5;
    default:
      return `${name} ${row}`;
  }
}

export const contentOf = (db: Database): Content =>
  Object.fromEntries(tables(db).map((table) => [table, db.query<Row, []>(`SELECT * FROM "${table}" ORDER BY rowid`).all()]));

/** The part of it that has a place in `other` too: what stands in columns of tables that both have. */
export function sharedWith(content: Content, other: Content): Content {
  const shared = Object.entries(content).flatMap(([table, rows]) => {
    const known = Object.keys(other[table]?.[0] ?? {});
    return table in other ? [[table, rows.map((row) => pick(row, known))] as const] : [];
  });
  return Object.fromEntries(shared);
}

const pick = (row: Row, names: readonly string[]): Row =>
  Object.fromEntries(Object.entries(row).filter(([name]) => names.includes(name)));
