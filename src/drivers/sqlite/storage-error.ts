import { Unavailable } from "../../domain/errors.ts";

const DISK_CODES = /^SQLITE_(FULL|IOERR|READONLY|CANTOPEN|BUSY|LOCKED|NOMEM)/;

/** The disk's trouble is the service's, not the caller's: nothing was stored, and it may work later. Other errors stay. */
export function asStorageError(error: unknown): unknown {
  return DISK_CODES.test(sqliteCode(error)) ? storageError(error) : error;
}

/** What callers are told of the disk's trouble. */
export function storageError(cause: unknown): Unavailable {
  return new Unavailable("storage_unavailable", "the service cannot store anything right now; nothing of this call was kept", {
    cause,
  });
}

/** Runs what comes round again by itself: the disk's trouble is left to the next time, other errors are thrown. */
export function attempt(work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!(asStorageError(error) instanceof Unavailable)) throw error;
  }
}

/** Drizzle may wrap the database's own error. */
function sqliteCode(error: unknown): string {
  for (let at = error, depth = 0; at instanceof Error && depth < 4; at = at.cause, depth += 1) {
    const { code } = at as { code?: unknown };
    if (typeof code === "string" && code.startsWith("SQLITE_")) return code;
  }
  return "";
}
