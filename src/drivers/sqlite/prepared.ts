import type { Database, Statement } from "bun:sqlite";

/** A statement by its text, prepared at its first use and kept. */
// biome-ignore lint/suspicious/noExplicitAny: each caller states the row; the parameters are SQLite's to check.
export type Prepared = <Row = unknown>(text: string) => Statement<Row, any[]>;

export function preparedOn(db: Database): Prepared {
  const statements = new Map<string, Statement>();
  return <Row>(text: string) => {
    let statement = statements.get(text);
    if (!statement) {
      statement = db.prepare(text);
      statements.set(text, statement);
    }
    // biome-ignore lint/suspicious/noExplicitAny: see above.
    return statement as Statement<Row, any[]>;
  };
}
