/** `true`: of tasks with the same input only one waits or runs at a time; or the input's fields that tell them apart. */
export type Unique = true | readonly string[];

/** What makes two inputs the same, as text: their fields in one order, whatever the order in which they came. */
export function uniqueText(unique: Unique, input: unknown): string {
  const fields = typeof input === "object" && input !== null ? (input as Readonly<Record<string, unknown>>) : {};
  return JSON.stringify(sorted(unique === true ? input : unique.map((name) => fields[name] ?? null)));
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([name, inner]) => [name, sorted(inner)]));
}
