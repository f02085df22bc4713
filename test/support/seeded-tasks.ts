/** Thousands or millions of tasks as rows, written by one statement: what a database holds after a long time of use. */
import type { Database } from "bun:sqlite";
import { STATUSES, type Status } from "../../src/domain/task.ts";

/** Keys of one millisecond; see src/drivers/sqlite/task-ids.ts. */
const PER_MS = 1_024;

export interface SeededTasks {
  readonly count: number;
  /** The key of the account that owns them. */
  readonly owner: number;
  /** Names of tasks, in turn. */
  readonly names: readonly string[];
  /** In turn, too. Queued ones lie outside of the broker's window. */
  readonly statuses: readonly Status[];
  /** When the last of them was accepted, in milliseconds since 1970 UTC. */
  readonly upTo: number;
}

/**
 * Adds tasks to a migrated database that no server has open.
 *
 * @returns the key of the first one; those of the others follow it
 */
export function seedTasks(db: Database, { count, owner, names, statuses, upTo }: SeededTasks): number {
  const lanes = names.map((name) => laneOf(db, owner, name));
  const codes = statuses.map((status) => STATUSES.indexOf(status));
  const seq = Number(db.query<{ value: string }, []>("SELECT value FROM meta WHERE key = 'seq_limit'").get()?.value ?? 0);
  const first = upTo * PER_MS - count + 1;
  db.prepare(INSERT).run(first, count, owner, JSON.stringify(lanes), JSON.stringify(codes), seq, upTo);
  db.run("INSERT OR REPLACE INTO meta (key, value) VALUES ('seq_limit', ?)", [String(seq + count)]);
  return first;
}

/** The id of the task that `seedTasks` has given this key. */
export function seededId(n: number, position: number): string {
  const ms = Math.floor(n / PER_MS)
    .toString(16)
    .padStart(12, "0");
  const place = ((n % PER_MS) * 4).toString(16).padStart(3, "0");
  return `${ms.slice(0, 8)}-${ms.slice(8)}-7${place}-8000-${position.toString(16).padStart(12, "0")}`;
}

function laneOf(db: Database, owner: number, name: string): number {
  db.prepare("INSERT OR IGNORE INTO lanes (owner, queue, name, priority) VALUES (?, 'default', ?, 1)").run(owner, name);
  const row = db
    .query<{ n: number }, [number, string]>("SELECT n FROM lanes WHERE owner = ? AND name = ? AND priority = 1")
    .get(owner, name);
  return row?.n ?? 0;
}

/** Parameters: first key, count, owner, lanes and status codes as JSON, the last seq before, the time. */
const INSERT = `
  WITH RECURSIVE
    given (first, count, owner, lanes, codes, seq, at) AS (VALUES (?, ?, ?, ?, ?, ?, ?)),
    place (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM place WHERE i + 1 < (SELECT count FROM given)),
    task AS (
      SELECT i, first + i AS n, printf('%012x', (first + i) / ${PER_MS}) AS ms, owner, seq + i + 1 AS seq, at,
        json_extract(lanes, '$[' || (i % json_array_length(lanes)) || ']') AS lane,
        json_extract(codes, '$[' || (i % json_array_length(codes)) || ']') AS status
      FROM place, given
    )
  INSERT INTO tasks (n, id, owner, lane, status, seq, attempt, max_attempts, fence, dispatched, deaths, cancel_requested,
    created_at, run_at, started_at, finished_at, error_code, error_message, args, result)
  SELECT n, substr(ms, 1, 8) || '-' || substr(ms, 9) || '-7' || printf('%03x', (n % ${PER_MS}) * 4) || '-8000-' || printf('%012x', i),
    owner, lane, status, seq, 1, 3, iif(status = 1, 0, 1), 0, 0, 0,
    at, at, iif(status > 1, at, NULL), iif(status > 3, at, NULL), iif(status = 5, 'error', NULL), iif(status = 5, 'it broke', NULL),
    '{"to":"somebody@example.com","n":42}', iif(status = 4, 'null', NULL)
  FROM task`;
