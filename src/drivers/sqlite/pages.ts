import type { Statement } from "bun:sqlite";
import type { PageQuery } from "../../ports/tasks.ts";
import { COLUMNS, statusCode, type TaskRow } from "./task-rows.ts";

/**
 * A page of a filter that no index answers alone looks at no more than this many rows; it may then come back short,
 * with a cursor that goes on from there. So no list costs more with more tasks.
 */
const SCAN_LIMIT = 10_000;

// biome-ignore lint/suspicious/noExplicitAny: the parameters are SQLite's to check.
type Prepare = (text: string) => Statement<TaskRow, any[]>;

/**
 * One keyset page, newest first, one row more than asked for telling whether another follows.
 *
 * The narrowest index that gives the order walks the rows (owner + status, owner + name, owner, or n itself); filters
 * that it does not hold are applied to at most SCAN_LIMIT of them.
 */
export function readPage(prepare: Prepare, query: PageQuery): { rows: TaskRow[]; next: number | null } {
  const walk: string[] = [];
  const filter: string[] = [];
  const walked: (string | number)[] = [];
  const filtered: (string | number)[] = [];
  let index = "NOT INDEXED";
  if (query.owner !== undefined) {
    walk.push("owner = ?");
    walked.push(query.owner);
    index = "INDEXED BY tasks_owner";
  }
  const { owner, status, name, before, limit } = query;
  if (status !== undefined && owner !== undefined) {
    walk.push("status = ?");
    walked.push(statusCode(status));
    index = "INDEXED BY tasks_owner_status";
  } else if (status !== undefined) {
    filter.push("status = ?");
    filtered.push(statusCode(status));
  }
  if (name !== undefined && owner !== undefined && status === undefined) {
    walk.push("name = ?");
    walked.push(name);
    index = "INDEXED BY tasks_owner_name";
  } else if (name !== undefined) {
    filter.push("name = ?");
    filtered.push(name);
  }
  if (before !== undefined) {
    walk.push("n < ?");
    walked.push(before);
  }
  const where = walk.length > 0 ? `WHERE ${walk.join(" AND ")}` : "";
  if (filter.length === 0) {
    const rows = prepare(`SELECT ${COLUMNS} FROM tasks ${index} ${where} ORDER BY n DESC LIMIT ?`).all(...walked, limit + 1);
    return cut(rows, limit, null);
  }
  const reached = `SELECT n FROM tasks ${index} ${where} ORDER BY n DESC LIMIT 1 OFFSET ${SCAN_LIMIT}`;
  const stop = prepare(reached).get(...walked)?.n;
  const bounded = [...walk, ...filter, ...(stop === undefined ? [] : ["n > ?"])].join(" AND ");
  const parameters = [...walked, ...filtered, ...(stop === undefined ? [] : [stop])];
  const rows = prepare(`SELECT ${COLUMNS} FROM tasks ${index} WHERE ${bounded} ORDER BY n DESC LIMIT ?`).all(...parameters, limit + 1);
  return cut(rows, limit, stop === undefined ? null : stop + 1);
}

function cut(rows: TaskRow[], limit: number, goOnAt: number | null): { rows: TaskRow[]; next: number | null } {
  if (rows.length <= limit) return { rows, next: goOnAt };
  const page = rows.slice(0, limit);
  return { rows: page, next: page.at(-1)?.n ?? null };
}
