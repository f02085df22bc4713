import type { JsonSchema, TaskPolicy } from "../../domain/definition.ts";

const text = { type: "string" };
const count = { type: "integer", minimum: 0 };
const orNull = (type: string): JsonSchema => ({ type: [type, "null"] });
const listOf = (items: JsonSchema): JsonSchema => ({ type: "array", items });

function objectOf(properties: Readonly<Record<string, JsonSchema>>, optional: readonly string[] = []): JsonSchema {
  return { type: "object", properties, required: Object.keys(properties).filter((name) => !optional.includes(name)) };
}

/** ParseOutput of shapes.ts. */
const page = objectOf(
  {
    url: { ...text, description: "After redirects." },
    status: { ...orNull("integer"), description: "Null: no answer came." },
    title: orNull("string"),
    description: orNull("string"),
    lang: orNull("string"),
    headings: listOf(objectOf({ level: { type: "integer", minimum: 1, maximum: 6 }, text })),
    links: listOf(text),
    words: count,
    bytes: count,
    elapsed_ms: { type: "number" },
    error: { ...text, description: "Why the page could not be read." },
  },
  ["error"],
);

/** The task `parse` as plain data: the main thread needs no more, and so never loads the crawler. */
export const policy: TaskPolicy = {
  name: "parse",
  description:
    "Fetches a page and, with max_pages above 1, the pages it links to, breadth first; returns each one's title, " +
    "description, language, headings, links and number of words. Heeds robots.txt.",
  queue: "default",
  input: {
    type: "object",
    properties: {
      // No `format`: "uri" would refuse URLs as people paste them, with non-ASCII letters in them.
      url: {
        type: "string",
        pattern: "^[Hh][Tt][Tt][Pp][Ss]?://[^\\s/?#]",
        maxLength: 2_048,
        description: "Where to begin, such as https://example.com/; http or https.",
      },
      max_pages: { type: "integer", minimum: 1, maximum: 500, default: 1, description: "The most pages to return." },
      same_origin: {
        type: "boolean",
        default: true,
        description: "Keep to the origin that the first page is at after redirects.",
      },
    },
    required: ["url"],
    additionalProperties: false,
  },
  output: objectOf({ pages: listOf(page), links_total: count, pages_total: count }),
  timeoutMs: 600_000,
  retry: { maxAttempts: 3, backoffMs: 2_000, maxBackoffMs: 60_000 },
};
