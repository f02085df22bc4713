import type { Database, Statement } from "bun:sqlite";
import { pendingOn } from "./pending-writes.ts";

/** A statement by its text, prepared at its first use and kept. It is to be run at once: writes that wait go out before. */
// biome-ignore lint/suspicious/noExplicitAny: each caller states the row; the parameters are SQLite's to check.
export type Prepared = <Row = unknown>(text: string) => Statement<Row, any[]>;

export function preparedOn(db: Database): Prepared {
  const statements = new Map<string, Statement>();
  const pending = pendingOn(db);
  return <Row>(text: string) => {
    pending.flush();
    let statement = statements.get(text);
    if (!statement) {
      statement = db.prepare(text);
      statements.set(text, statement);
    }
    // biome-ignore lint/suspicious/noExplicitAny: see above.
    return statement as Statement<Row, any[]>;
  };
}
