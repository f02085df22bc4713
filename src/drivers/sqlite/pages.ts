import type { PageQuery } from "../../ports/tasks.ts";
import type { Prepared } from "./prepared.ts";
import { COLUMNS, INDEXED_CODES, inStatusIndex, statusCode, type TaskRow } from "./task-rows.ts";

/**
 * A page whose filter no index answers alone looks at no more than this many rows; it may then come back short, with a
 * cursor that goes on from there. So no list costs more with more tasks.
 */
const SCAN_LIMIT = 10_000;

interface Condition {
  readonly text: string;
  readonly values: readonly (string | number)[];
}

/**
 * One keyset page, newest first. The narrowest index that gives the order walks the rows; what it does not hold is
 * filtered from at most SCAN_LIMIT of them. One row more than asked for tells whether another page follows.
 */
export function readPage(sql: Prepared, query: PageQuery): { rows: TaskRow[]; next: number | null } {
  const { before, limit } = query;
  const { index, walk, filter } = plan(query);
  const { text, values } = join([...walk, ...(before === undefined ? [] : [{ text: "n < ?", values: [before] }])]);
  if (filter.length === 0) {
    const all = `SELECT ${COLUMNS} FROM tasks ${index} ${text} ORDER BY n DESC LIMIT ?`;
    return cut(sql<TaskRow>(all).all(...values, limit + 1), limit, null);
  }
  // CROSS JOIN has SQLite take the rows as the inner query walks them, in its order, and stop when the page is full.
  const walked = `SELECT n AS walked FROM tasks ${index} ${text} ORDER BY n DESC LIMIT ${SCAN_LIMIT}`;
  const filtered = join(filter);
  const rows = sql<TaskRow>(
    `SELECT ${COLUMNS} FROM (${walked}) CROSS JOIN tasks ON tasks.n = walked ${filtered.text} LIMIT ?`,
  ).all(...values, ...filtered.values, limit + 1);
  if (rows.length > limit) return cut(rows, limit, null);
  const beyond = `SELECT n FROM tasks ${index} ${text} ORDER BY n DESC LIMIT 1 OFFSET ${SCAN_LIMIT}`;
  const stop = sql<{ n: number }>(beyond).get(...values)?.n;
  return cut(rows, limit, stop === undefined ? null : stop + 1);
}

/** Which index walks the rows in order of n, by which conditions, and what is left to filter. */
function plan({ owner, status, name }: PageQuery): { index: string; walk: Condition[]; filter: Condition[] } {
  const code = status === undefined ? undefined : statusCode(status);
  const byStatus: Condition[] = code === undefined ? [] : [{ text: `status = ${code}`, values: [] }];
  const filter: Condition[] =
    name === undefined
      ? []
      : owner === undefined
        ? [{ text: "lane IN (SELECT n FROM lanes WHERE name = ?)", values: [name] }]
        : [{ text: "lane IN (SELECT n FROM lanes WHERE owner = ? AND name = ?)", values: [owner, name] }];
  if (owner === undefined) return { index: "NOT INDEXED", walk: [], filter: [...byStatus, ...filter] };
  const byOwner: Condition = { text: "owner = ?", values: [owner] };
  if (code !== undefined && INDEXED_CODES.includes(code)) {
    return { index: "INDEXED BY tasks_status", walk: [{ text: inStatusIndex(code), values: [] }, byOwner], filter };
  }
  return { index: "INDEXED BY tasks_owner", walk: [byOwner], filter: [...byStatus, ...filter] };
}

function join(conditions: readonly Condition[]): Condition {
  const text = conditions.map((condition) => condition.text).join(" AND ");
  return { text: text === "" ? "" : `WHERE ${text}`, values: conditions.flatMap(({ values }) => values) };
}

function cut(rows: TaskRow[], limit: number, goOnAt: number | null): { rows: TaskRow[]; next: number | null } {
  if (rows.length <= limit) return { rows, next: goOnAt };
  const page = rows.slice(0, limit);
  return { rows: page, next: page.at(-1)?.n ?? null };
}
