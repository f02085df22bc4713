import { clean, cleanLines, fit, type Look, paint } from "./show.ts";

/** A page in the result of `parse`, as far as its table shows it. */
interface Page {
  readonly url: string;
  readonly status: number | null;
  readonly title: string | null;
  readonly words: number;
  readonly links: readonly unknown[];
  readonly error?: string;
}

interface Pages {
  readonly pages: readonly Page[];
  readonly links_total: number;
  readonly pages_total: number;
}

/** What a task gave back, for people: what `parse` has read as a table, text as it is, the rest as JSON. */
export function resultText(result: unknown, look: Look): string {
  if (isPages(result)) return pageTable(result, look).join("\n");
  const text = typeof result === "string" ? result : JSON.stringify(result, null, 2);
  return cleanLines(text ?? "");
}

function isPages(result: unknown): result is Pages {
  const { pages, links_total, pages_total } = (result ?? {}) as Partial<Pages>;
  const counted = typeof links_total === "number" && typeof pages_total === "number";
  return counted && Array.isArray(pages) && pages.every(isPage);
}

function isPage(page: unknown): page is Page {
  const { url, words, links } = (page ?? {}) as Partial<Page>;
  return typeof url === "string" && typeof words === "number" && Array.isArray(links);
}

/** The numbers in columns, then what the page is called and where it is. */
function pageTable({ pages, links_total, pages_total }: Pages, look: Look): string[] {
  const { pageColumns } = look.words;
  const head = [pageColumns.status, pageColumns.words, pageColumns.links, pageColumns.page];
  const rows = pages.map((page) => [String(page.status ?? "—"), String(page.words), String(page.links.length), nameOf(page)]);
  const widths = [0, 1, 2].map((i) => Math.max(...[head, ...rows].map((row) => Bun.stringWidth(row[i] ?? ""))));
  const line = (row: readonly string[]): string =>
    fit([...widths.map((width, i) => leftPadded(row[i] ?? "", width)), row[3]].join("  "), look.columns);
  return [paint(line(head), "dim", look), ...rows.map(line), look.words.pages(pages_total, links_total)];
}

function nameOf({ title, url, error }: Page): string {
  const name = title === null || title === "" ? clean(url) : `${clean(title)}  ${clean(url)}`;
  return error === undefined ? name : `${clean(error)}  ${clean(url)}`;
}

const leftPadded = (text: string, width: number): string => " ".repeat(Math.max(0, width - Bun.stringWidth(text))) + text;
