import type { ErrorObject, FuncKeywordDefinition } from "ajv";
import { canonical } from "./unique.ts";

/** `uniqueItems` in time that is linear in the input's length, or little more, whatever the items are. */
export const uniqueItems: FuncKeywordDefinition = {
  keyword: "uniqueItems",
  type: "array",
  schemaType: "boolean",
  // Before defaults are filled into the items.
  before: "prefixItems",
  errors: true,
  validate,
};

function validate(wanted: boolean, items: readonly unknown[]): boolean {
  const twice = wanted ? firstRepeated(items) : undefined;
  if (twice === undefined) return true;
  const message = `must NOT have duplicate items (items ## ${twice[0]} and ${twice[1]} are identical)`;
  validate.errors = [{ keyword: "uniqueItems", params: {}, message }];
  return false;
}
/** Where the validator library looks for what is wrong. */
validate.errors = [] as Partial<ErrorObject>[];

/** The places of the first item that was there before, its equal's first. */
function firstRepeated(items: readonly unknown[]): readonly [number, number] | undefined {
  const places = new Map<unknown, number>();
  for (const [i, item] of items.entries()) {
    const key = keyOf(item);
    const before = places.get(key);
    if (before !== undefined) return [before, i];
    places.set(key, i);
  }
  return undefined;
}

/** Equal items have equal keys, and others have others: a string's begins with a quote, as no list's and no object's does. */
function keyOf(item: unknown): unknown {
  if (typeof item === "string") return `"${item}`;
  return typeof item === "object" && item !== null ? canonical(item) : item;
}
