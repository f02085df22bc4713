/** `true`: of tasks with the same input only one waits or runs at a time; or the input's fields that tell them apart. */
export type Unique = true | readonly string[];

/** What makes two inputs the same, as text: their fields in one order, whatever the order in which they came. */
export function uniqueText(unique: Unique, input: unknown): string {
  const fields = typeof input === "object" && input !== null ? (input as Readonly<Record<string, unknown>>) : {};
  return canonical(unique === true ? input : unique.map((name) => fields[name] ?? null));
}

/** JSON with the fields of each object in one order: equal values have equal texts. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
