/** What a page says, read in one pass over its text. */
import { pageUrl } from "./page-url.ts";
import type { Heading, ParsedPage } from "./shapes.ts";
import { type Attributes, type TokenHandler, tokenize } from "./tokens.ts";
import { WordCounter } from "./words.ts";

/** Bounds per page: what is beyond is dropped, for a page can be 8 MiB of links. Lengths in UTF-16 units. */
const MAX_LINKS = 2_000;
const MAX_HEADINGS = 500;
const MAX_HEADING_LENGTH = 500;
const MAX_TITLE_LENGTH = 500;
const MAX_DESCRIPTION_LENGTH = 1_000;
const MAX_LANG_LENGTH = 64;

/** What is known of a page that is not HTML, or could not be had. */
export const EMPTY_PAGE: ParsedPage = { title: null, description: null, lang: null, headings: [], links: [], words: 0 };

const words = (text: string): ReadonlySet<string> => new Set(text.split(" "));

/** Elements whose text is not part of what a reader sees. */
const HIDDEN = words("script style template noscript iframe noembed noframes title desc metadata");

/** Elements that do not end a word: `b<b>o</b>ld` is one. All others do. */
const INLINE = words(
  "a abbr acronym b bdi bdo big cite code data del dfn em font i ins kbd label mark nobr q rp rt ruby s samp small span strike " +
    "strong sub sup time tt u var wbr",
);

const VOID = words("area base basefont br col embed frame hr img input keygen link meta param source track wbr");

/** Elements that never stand in a heading: one that starts there means that the heading's end tag is missing. */
const ENDS_HEADING = words(
  "p ul ol dl table pre blockquote form section article aside nav header footer main hr address fieldset",
);

/** HTML elements that end a forgotten `<svg>` or `<math>` (WHATWG HTML, "parsing main in foreign content"). */
const ENDS_FOREIGN = words(
  "b big blockquote body br center code dd div dl dt em embed h1 h2 h3 h4 h5 h6 head hr i img li listing menu meta nobr ol p pre " +
    "ruby s small span strong strike sub sup table tt u ul var",
);

const WANTED: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  ["a", words("href")],
  ["area", words("href")],
  ["base", words("href")],
  ["html", words("lang xml:lang")],
  ["meta", words("name content")],
]);

/**
 * Reads a page, however broken its markup is.
 *
 * @param html the decoded text
 * @param url the page's own, which relative links start from unless the page has a `<base href>`
 * @param xhtml whether the page was sent as XHTML, where "/>" ends any element
 */
export function parsePage(html: string, url: string, xhtml = false): ParsedPage {
  const reader = new PageReader(xhtml);
  tokenize(html, reader, xhtml);
  return reader.result(url);
}

class PageReader implements TokenHandler {
  readonly wanted = WANTED;
  readonly #xhtml: boolean;
  #title: string | null = null;
  #description: string | null = null;
  #lang: string | null = null;
  #base: string | null = null;
  readonly #headings: Heading[] = [];
  /** As written, each once: a base that comes later still applies to them. */
  readonly #hrefs = new Set<string>();
  readonly #words = new WordCounter();
  /** The outermost hidden element that is open, and how many of its name are in it. */
  #hidden: { readonly tag: string; depth: number } | null = null;
  /** Open `<svg>` and `<math>` elements. */
  #foreign = 0;
  /** The heading that is open, and how many elements are in it that do not belong to a line of text. */
  #heading: { readonly level: number; text: string; depth: number } | null = null;
  #openTitle: string | null = null;

  constructor(xhtml: boolean) {
    this.#xhtml = xhtml;
  }

  isForeign(): boolean {
    return this.#foreign > 0;
  }

  open(tag: string, attributes: Attributes, selfClosing: boolean): void {
    if (this.#foreign > 0 && ENDS_FOREIGN.has(tag)) this.#foreign = 0;
    const empty = VOID.has(tag) || (selfClosing && (this.#xhtml || this.#foreign > 0 || isForeignRoot(tag)));
    if (this.#hidden !== null) {
      if (this.#hidden.tag === tag && !empty) this.#hidden.depth++;
      return;
    }
    if (!INLINE.has(tag)) this.#boundary(tag, empty);
    if (isHeading(tag)) this.#openHeading(tag, empty);
    else if (HIDDEN.has(tag)) this.#hide(tag, empty);
    else if (isForeignRoot(tag)) this.#foreign += empty ? 0 : 1;
    else if (WANTED.has(tag)) this.#read(tag, attributes);
  }

  close(tag: string): void {
    if (this.#hidden !== null) {
      if (this.#hidden.tag === tag && --this.#hidden.depth === 0) this.#reveal();
      return;
    }
    if (isForeignRoot(tag)) this.#foreign = Math.max(0, this.#foreign - 1);
    if (INLINE.has(tag)) return;
    this.#words.break();
    const heading = this.#heading;
    if (heading === null) return;
    heading.text += " ";
    if (isHeading(tag)) this.#closeHeading();
    // The end tag of something around the heading: its own is missing.
    else if (!VOID.has(tag) && tag !== "p" && --heading.depth < 0) this.#closeHeading();
  }

  text(text: string): void {
    if (this.#openTitle !== null) {
      if (this.#openTitle.length < 4 * MAX_TITLE_LENGTH) this.#openTitle += text;
      return;
    }
    if (this.#hidden !== null) return;
    this.#words.add(text);
    if (this.#heading !== null && this.#heading.text.length < 4 * MAX_HEADING_LENGTH) this.#heading.text += text;
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

  /** An element starts that is not part of a line of text. */
  #boundary(tag: string, empty: boolean): void {
    this.#words.break();
    if (this.#heading === null) return;
    if (ENDS_HEADING.has(tag) && this.#heading.text.trim() !== "") {
      this.#closeHeading();
      return;
    }
    this.#heading.text += " ";
    if (!empty) this.#heading.depth++;
  }

  #openHeading(tag: string, empty: boolean): void {
    // Headings do not nest: a start tag ends the one before (WHATWG HTML, "in body").
    this.#closeHeading();
    if (!empty) this.#heading = { level: Number(tag[1]), text: "", depth: 0 };
  }

  #closeHeading(): void {
    const heading = this.#heading;
    this.#heading = null;
    const text = bounded(heading?.text ?? null, MAX_HEADING_LENGTH);
    if (heading !== null && text !== null && this.#headings.length < MAX_HEADINGS)
      this.#headings.push({ level: heading.level, text });
  }

  #hide(tag: string, empty: boolean): void {
    if (empty) return;
    this.#hidden = { tag, depth: 1 };
    // The first title only, and not an SVG's, which is the name of a picture.
    if (tag === "title" && this.#title === null && this.#foreign === 0) this.#openTitle = "";
  }

  #reveal(): void {
    this.#hidden = null;
    this.#title ??= this.#openTitle;
    this.#openTitle = null;
  }

  #read(tag: string, attributes: Attributes): void {
    const href = attributes.get("href");
    if (tag === "html") this.#lang ??= attributes.get("lang")?.trim() || attributes.get("xml:lang")?.trim() || null;
    else if (tag === "base") this.#base ??= href ?? null;
    else if (tag === "meta") {
      if (attributes.get("name")?.trim().toLowerCase() !== "description") return;
      this.#description ??= attributes.get("content")?.trim() || null;
    } else if (href !== undefined && this.#hrefs.size < 2 * MAX_LINKS) this.#hrefs.add(href);
  }

  #links(url: string): string[] {
    const base = this.#base === null ? null : URL.parse(this.#base, url);
    const start = base?.protocol === "http:" || base?.protocol === "https:" ? base.href : url;
    const links = new Set<string>();
    for (const href of this.#hrefs) {
      const link = pageUrl(href, start);
      if (link !== null) links.add(link);
      if (links.size === MAX_LINKS) break;
    }
    return [...links];
  }
}

function isHeading(tag: string): boolean {
  return tag.length === 2 && tag[0] === "h" && tag >= "h1" && tag <= "h6";
}

function isForeignRoot(tag: string): boolean {
  return tag === "svg" || tag === "math";
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
