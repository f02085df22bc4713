/** What the task `parse` takes and gives; part of the public contract. */

export interface ParseInput {
  readonly url: string;
  /** 1..500, default 1. */
  readonly max_pages?: number;
  /** Default true. */
  readonly same_origin?: boolean;
}

export interface Heading {
  /** 1..6 */
  readonly level: number;
  readonly text: string;
}

/** What a page says. */
export interface ParsedPage {
  readonly title: string | null;
  readonly description: string | null;
  readonly lang: string | null;
  readonly headings: readonly Heading[];
  /** Absolute http(s) URLs without fragments, each once, in document order. */
  readonly links: readonly string[];
  readonly words: number;
}

export interface PageEntry extends ParsedPage {
  /** After redirects, without a fragment. */
  readonly url: string;
  /** null when no answer came. */
  readonly status: number | null;
  /** Of the decompressed body. */
  readonly bytes: number;
  /** Of the requests that led to the page, body included; without waiting for robots.txt or a crawl delay. */
  readonly elapsed_ms: number;
  /** Why the page could not be read; only on pages after the first. */
  readonly error?: string;
}

export interface ParseOutput {
  /** In breadth-first order. */
  readonly pages: readonly PageEntry[];
  /** Distinct links over all `pages`. */
  readonly links_total: number;
  readonly pages_total: number;
}
