/** JSON Pointers, RFC 6901. */

/** An escape that is none. Looked for by itself: a pattern of whole pointers takes long for long ones. */
const WRONG_ESCAPE = /~(?![01])/;

/** @returns its tokens, unescaped; undefined where it is none */
export function tokensOf(pointer: string): readonly string[] | undefined {
  if ((pointer !== "" && !pointer.startsWith("/")) || WRONG_ESCAPE.test(pointer)) return undefined;
  return pointer
    .split("/")
    .slice(1)
    .map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~"));
}

/** The pointer to what `token` names inside of what `pointer` leads to. */
export function pointerTo(pointer: string, token: PropertyKey): string {
  return `${pointer}/${String(token).replaceAll("~", "~0").replaceAll("/", "~1")}`;
}

/** The pointer that takes these steps. */
export const pointerOf = (steps: readonly PropertyKey[]): string => steps.reduce<string>(pointerTo, "");

/** The place in an array that a token names; undefined where it names none. */
export function placeOf(token: string): number | undefined {
  return /^(?:0|[1-9]\d{0,8})$/.test(token) ? Number(token) : undefined;
}

/** What the tokens lead to in a JSON value; undefined: nowhere. */
export function follow(value: unknown, tokens: readonly string[]): unknown {
  let at = value;
  for (const token of tokens) {
    if (typeof at !== "object" || at === null) return undefined;
    if (Array.isArray(at)) at = at[placeOf(token) ?? -1];
    else if (Object.hasOwn(at, token)) at = (at as Readonly<Record<string, unknown>>)[token];
    else return undefined;
  }
  return at;
}
