import { Forbidden, InvalidInput } from "../domain/errors.ts";
import type { Accounts } from "../services/accounts.ts";
import type { Caller } from "../services/tasks.ts";

/** What lists take: `limit`, `cursor` and, from admins, `owner`. */

interface Query {
  readonly limit?: string;
  readonly cursor?: string;
  readonly owner?: string;
}

/** @throws InvalidInput `invalid_input`, `invalid_cursor`; Forbidden `forbidden` */
export function pageOf(
  who: Caller,
  accounts: Accounts,
  query: Query,
): { limit: number; before?: number; owner?: number | "all" } {
  return {
    limit: query.limit === undefined ? 50 : limitOf(query.limit),
    ...(query.cursor === undefined ? {} : { before: cursorKey(query.cursor) }),
    ...(query.owner === undefined ? {} : { owner: ownerKey(who, accounts, query.owner) }),
  };
}

/** A page as JSON text, of items that are JSON texts. */
export function pageJson(items: readonly string[], next: number | null): string {
  return `{"items":[${items.join(",")}],"next_cursor":${next === null ? "null" : `"${cursorOf(next)}"`}}`;
}

function limitOf(text: string): number {
  if (/^(?:[1-9]\d?|1\d\d|200)$/.test(text)) return Number(text);
  const message = "must be a whole number from 1 to 200";
  throw new InvalidInput("invalid_input", `limit ${message}`, [{ path: "/limit", message }]);
}

/** An unknown account has no tasks: key 0 is nobody's. */
function ownerKey(who: Caller, accounts: Accounts, owner: string): number | "all" {
  if (owner === who.id) return who.n;
  if (!who.admin) throw new Forbidden("forbidden", "only admins see other accounts' tasks");
  return owner === "all" ? "all" : (accounts.find(owner)?.n ?? 0);
}

const cursorOf = (n: number): string => Buffer.from(`n${n}`).toString("base64url");

function cursorKey(cursor: string): number {
  const n = Number(/^n(\d{1,16})$/.exec(Buffer.from(cursor, "base64url").toString("latin1"))?.[1]);
  // Decoding is lenient, so what is decoded is compared as well.
  if (Number.isSafeInteger(n) && cursor === cursorOf(n)) return n;
  throw new InvalidInput("invalid_cursor", "the cursor is none of this service's", [{ path: "/cursor", message: "unknown" }]);
}
