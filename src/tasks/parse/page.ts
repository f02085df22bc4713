/** What a page says: one pass of Bun's HTMLRewriter over its text. */
import { decodeHTML, decodeHTMLAttribute } from "entities";
import { pageUrl } from "./page-url.ts";
import type { Heading } from "./shapes.ts";
import { WordCounter } from "./words.ts";

/** Bounds per page: what is beyond is dropped, for a page can be 8 MiB of links. Lengths in UTF-16 units. */
const MAX_LINKS = 2_000;
const MAX_HEADINGS = 500;
const MAX_HEADING_LENGTH = 500;
const MAX_TITLE_LENGTH = 500;
const MAX_DESCRIPTION_LENGTH = 1_000;
const MAX_LANG_LENGTH = 64;

export interface ParsedPage {
  readonly title: string | null;
  readonly description: string | null;
  readonly lang: string | null;
  readonly headings: readonly Heading[];
  readonly links: readonly string[];
  readonly words: number;
}

/** What is known of a page that is not HTML, or could not be had. */
export const EMPTY_PAGE: ParsedPage = { title: null, description: null, lang: null, headings: [], links: [], words: 0 };

/** Elements whose text is not part of what a reader sees. */
const HIDDEN = new Set(["script", "style", "template", "noscript", "iframe", "noembed", "noframes", "title", "desc", "metadata"]);

const HEADING_LEVELS: ReadonlyMap<string, number> = new Map(["h1", "h2", "h3", "h4", "h5", "h6"].map((tag, at) => [tag, at + 1]));

/** Elements that do not end a word: `b<b>o</b>ld` is one. All others do. */
const INLINE = new Set(
  (
    "a abbr acronym b bdi bdo big cite code data del dfn em font i ins kbd label mark nobr q rp rt ruby s samp small span strike " +
    "strong sub sup time tt u var wbr"
  ).split(" "),
);

/** Elements that never stand in a heading: one that starts there means that the heading's end tag is missing. */
const ENDS_HEADING = new Set(
  "p ul ol dl table pre blockquote form section article aside nav header footer main hr address fieldset".split(" "),
);

/**
 * Reads a page.
 *
 * @param html the decoded text
 * @param url the page's own, which relative links start from unless the page has a `<base href>`
 */
export function parsePage(html: string, url: string): ParsedPage {
  const reader = new PageReader();
  new HTMLRewriter()
    .on("*", { element: (element) => reader.element(element) })
    .onDocument({ text: (chunk) => reader.text(chunk) })
    .transform(html);
  return reader.result(url);
}

class PageReader {
  #title: string | null = null;
  #description: string | null = null;
  #lang: string | null = null;
  #base: string | null = null;
  readonly #headings: Heading[] = [];
  /** As written, each once: a base that comes later still applies to them. */
  readonly #hrefs = new Set<string>();
  readonly #words = new WordCounter();
  /** How many hidden elements are open. */
  #hidden = 0;
  #svg = 0;
  #heading: { readonly level: number; text: string } | null = null;
  #openTitle: string | null = null;
  /** Of the text node that is being read: an entity may be cut by the end of a chunk. */
  #raw = "";

  element(element: HTMLRewriterTypes.Element): void {
    const tag = element.tagName;
    if (!INLINE.has(tag)) this.#boundary(tag);
    const level = HEADING_LEVELS.get(tag);
    if (level !== undefined && this.#hidden === 0) this.#openHeading(element, level);
    else if (HIDDEN.has(tag)) this.#hide(element, tag);
    else if (tag === "a" || tag === "area") this.#link(element);
    else if (tag === "meta") this.#meta(element);
    else if (tag === "html") this.#lang ??= attribute(element, "lang") ?? attribute(element, "xml:lang");
    else if (tag === "base") this.#base ??= attribute(element, "href");
    else if (element.canHaveContent && !INLINE.has(tag)) this.#block(element, tag);
  }

  text(chunk: HTMLRewriterTypes.Text): void {
    if (this.#hidden > 0 && this.#openTitle === null) return;
    this.#raw += chunk.text;
    if (!chunk.lastInTextNode) return;
    const text = this.#raw.includes("&") ? decodeHTML(this.#raw) : this.#raw;
    this.#raw = "";
    if (this.#openTitle !== null) {
      this.#openTitle += text;
      return;
    }
    this.#words.add(text);
    if (this.#heading !== null && this.#heading.text.length < 2 * MAX_HEADING_LENGTH) this.#heading.text += text;
  }

  result(url: string): ParsedPage {
    this.#closeHeading();
    return {
      title: bounded(this.#title ?? this.#openTitle, MAX_TITLE_LENGTH),
      description: bounded(this.#description, MAX_DESCRIPTION_LENGTH),
      lang: bounded(this.#lang, MAX_LANG_LENGTH),
      headings: this.#headings,
      links: this.#links(url),
      words: this.#words.count,
    };
  }

  /** An element that is not part of a line of text starts or ends. */
  #boundary(startingTag: string): void {
    this.#words.break();
    if (this.#heading === null) return;
    if (ENDS_HEADING.has(startingTag) && this.#heading.text.trim() !== "") this.#closeHeading();
    else this.#heading.text += " ";
  }

  #block(element: HTMLRewriterTypes.Element, tag: string): void {
    if (tag === "svg") this.#svg++;
    element.onEndTag(() => {
      if (tag === "svg") this.#svg--;
      this.#boundary("");
    });
  }

  #openHeading(element: HTMLRewriterTypes.Element, level: number): void {
    // Headings do not nest: a start tag ends the one before (WHATWG HTML, "in body").
    this.#closeHeading();
    const heading = { level, text: "" };
    this.#heading = heading;
    if (!element.canHaveContent) return;
    element.onEndTag(() => {
      this.#words.break();
      if (this.#heading === heading) this.#closeHeading();
    });
  }

  #closeHeading(): void {
    const heading = this.#heading;
    this.#heading = null;
    const text = bounded(heading?.text ?? null, MAX_HEADING_LENGTH);
    if (heading !== null && text !== null && this.#headings.length < MAX_HEADINGS)
      this.#headings.push({ level: heading.level, text });
  }

  #hide(element: HTMLRewriterTypes.Element, tag: string): void {
    if (!element.canHaveContent) return;
    // The first title only, and not an SVG's, which is the name of a picture.
    const isTitle = tag === "title" && this.#title === null && this.#svg === 0 && this.#hidden === 0;
    if (isTitle) this.#openTitle = "";
    this.#hidden++;
    element.onEndTag(() => {
      this.#hidden--;
      if (!isTitle) return;
      this.#title = this.#openTitle;
      this.#openTitle = null;
    });
  }

  #link(element: HTMLRewriterTypes.Element): void {
    if (this.#hidden > 0 || this.#hrefs.size >= 2 * MAX_LINKS) return;
    const href = element.getAttribute("href");
    if (href !== null) this.#hrefs.add(href);
  }

  #meta(element: HTMLRewriterTypes.Element): void {
    if (this.#description !== null || this.#hidden > 0) return;
    if (element.getAttribute("name")?.trim().toLowerCase() !== "description") return;
    this.#description = attribute(element, "content");
  }

  #links(url: string): string[] {
    const base = this.#base === null ? null : URL.parse(this.#base.trim(), url);
    const start = base?.protocol === "http:" || base?.protocol === "https:" ? base.href : url;
    const links = new Set<string>();
    for (const href of this.#hrefs) {
      const link = pageUrl(href.includes("&") ? decodeHTMLAttribute(href) : href, start);
      if (link !== null) links.add(link);
      if (links.size === MAX_LINKS) break;
    }
    return [...links];
  }
}

/** An attribute with its entities decoded; null when it is absent or blank. */
function attribute(element: HTMLRewriterTypes.Element, name: string): string | null {
  const value = element.getAttribute(name);
  if (value === null || value.trim() === "") return null;
  return value.includes("&") ? decodeHTMLAttribute(value) : value;
}

/** The text with its whitespace and control characters collapsed, at most `length` long and never ending in half a character; null when blank. */
function bounded(text: string | null, length: number): string | null {
  if (text === null) return null;
  const collapsed = text.replace(/[\s\p{Cc}]+/gu, " ").trim();
  if (collapsed === "") return null;
  if (collapsed.length <= length) return collapsed;
  return collapsed
    .slice(0, length)
    .toWellFormed()
    .replace(/[ \ufffd]$/, "");
}
