import type { Database } from "bun:sqlite";
import { lose } from "../../domain/task.ts";
import { MetaRows } from "./meta-rows.ts";
import { preparedOn } from "./prepared.ts";
import { statusCode } from "./task-rows.ts";
import { SqliteTasks } from "./tasks.ts";

const PAGE_ROWS = 500;

/**
 * Begins another life of a database that goes back to an earlier state: what was told of it since then must not be taken for
 * news of now. Clients see another epoch, and so does Redis, which forgets its jobs; who ran a task has lost it, and fences go
 * on from a number that no other life has reached, for they count dispatches and this one is milliseconds since 1970 UTC.
 *
 * @param epoch later than all before it, in the order of texts: a new UUIDv7
 * @returns how many tasks have not ended
 */
export function beginAnotherLife(db: Database, { epoch, now }: { readonly epoch: string; readonly now: number }): number {
  return db
    .transaction(() => {
      const sql = preparedOn(db);
      const meta = new MetaRows(sql);
      meta.set("epoch", epoch);
      sql("DELETE FROM meta WHERE key = 'worker'").run();
      sql("DELETE FROM offsets").run();
      sql("UPDATE tasks SET fence = max(fence, ?) WHERE status <> ?").run(now, statusCode("done"));
      const store = new SqliteTasks(db, () => epoch);
      for (const rows of store.dispatched(PAGE_ROWS)) {
        for (const row of rows) store.update(row, { ...lose(row, now), seq: store.nextSeq() });
      }
      return store.countPending();
    })
    .immediate();
}
