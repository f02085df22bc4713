import { readMigrations } from "./read-migrations.ts" with { type: "macro" };
import type { Migration } from "./read-migrations.ts";

export type { Migration };

/** All migrations that this build knows, oldest first. */
export const migrations: readonly Migration[] = assertGrowing(readMigrations());

/** Applied migrations are told apart by their stamps, so a stamp that does not grow would be skipped in silence. */
export function assertGrowing(list: readonly Migration[]): readonly Migration[] {
  for (const [index, migration] of list.entries()) {
    const previous = list[index - 1];
    if (previous && previous.when >= migration.when)
      throw new Error(`migration ${migration.tag} is stamped no later than ${previous.tag}`);
  }
  return list;
}
