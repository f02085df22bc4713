/** The result as it grows, with its bounds, the task's progress and its log. */
import type { TaskContext } from "../artel.ts";
import type { Heading, PageEntry, ParseOutput } from "./shapes.ts";

/** Of the result as JSON; the service refuses one over 8 MiB. */
const MAX_RESULT_BYTES = 6 * 1024 * 1024;
/**
 * Kept free for each page still to come: an entry without links and headings takes no more (URL 2,048 bytes, title 500
 * and description 1,000 characters of up to 3 bytes, the rest small).
 */
const RESERVED_BYTES = 7_500;
/** A crawl that skips thousands of pages does not fill the task's log with them. */
const MAX_NOTES = 200;

export class Report {
  readonly #ctx: TaskContext;
  readonly #maxPages: number;
  readonly #entries: PageEntry[] = [];
  readonly #links = new Set<string>();
  #bytes = 0;
  #share = 0;
  #notes = 0;

  constructor(ctx: TaskContext, maxPages: number) {
    this.#ctx = ctx;
    this.#maxPages = maxPages;
  }

  get pages(): number {
    return this.#entries.length;
  }

  begin(url: string): void {
    this.#ctx.progress(0, `fetching ${url}`);
  }

  /**
   * Adds a page, without those links and headings that the result has no room for.
   *
   * @param ahead pages known to follow
   */
  add(entry: PageEntry, ahead: number): void {
    const left = this.#maxPages - this.pages - 1;
    const fitted = fit(entry, MAX_RESULT_BYTES - this.#bytes - left * RESERVED_BYTES);
    if (fitted.entry.links.length < entry.links.length || fitted.entry.headings.length < entry.headings.length) {
      this.note("warn", `${entry.url}: links or headings left out, for the result would be too large`);
    }
    this.#bytes += fitted.bytes;
    this.#entries.push(fitted.entry);
    for (const link of fitted.entry.links) this.#links.add(link);
    this.#progress(ahead);
  }

  /** Writes a line of the task's log; after the first 200 none. */
  note(level: "info" | "warn", text: string): void {
    this.#notes++;
    if (this.#notes <= MAX_NOTES) this.#ctx.log[level](text);
    if (this.#notes === MAX_NOTES) this.#ctx.log.info("no further pages are mentioned");
  }

  finish(): ParseOutput {
    this.#ctx.progress(1, `${this.pages} ${this.pages === 1 ? "page" : "pages"}`);
    return { pages: this.#entries, links_total: this.#links.size, pages_total: this.pages };
  }

  /** The share of the pages known by now. More become known on the way; then it stands still rather than go back. */
  #progress(ahead: number): void {
    const target = Math.min(this.#maxPages, this.pages + ahead);
    const share = this.pages / target;
    // Only the end is 1.
    if (share >= 1) return;
    this.#share = Math.max(this.#share, share);
    this.#ctx.progress(this.#share, `${this.pages} of ${target} pages`);
  }
}

/** Cuts the entry's headings and links down to `maxBytes` of JSON; headings get at most half of it. */
function fit(entry: PageEntry, maxBytes: number): { entry: PageEntry; bytes: number } {
  const bare = jsonBytes({ ...entry, headings: [], links: [] });
  const room = Math.max(0, maxBytes - bare);
  const headings = take<Heading>(entry.headings, room / 2);
  const links = take<string>(entry.links, room - headings.bytes);
  return { entry: { ...entry, headings: headings.items, links: links.items }, bytes: bare + headings.bytes + links.bytes };
}

function take<T>(items: readonly T[], maxBytes: number): { items: readonly T[]; bytes: number } {
  let bytes = 0;
  for (const [at, item] of items.entries()) {
    const more = jsonBytes(item) + 1;
    if (bytes + more > maxBytes) return { items: items.slice(0, at), bytes };
    bytes += more;
  }
  return { items, bytes };
}

function jsonBytes(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value));
}
