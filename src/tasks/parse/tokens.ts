/** HTML as a flat sequence of tags and text. */
import { Tokenizer } from "htmlparser2";

/** Attributes by lower-case name, entities decoded; of doubled ones the first. */
export type Attributes = ReadonlyMap<string, string>;

export interface TokenHandler {
  /** Names of the attributes that `open` is to be given, by tag. */
  readonly wanted: ReadonlyMap<string, ReadonlySet<string>>;
  /** A start tag. `selfClosing` says that it ends in "/>", which means something only in SVG, MathML and XHTML. */
  open(tag: string, attributes: Attributes, selfClosing: boolean): void;
  /** An end tag, whether or not anything was open. */
  close(tag: string): void;
  /** A piece of text, entities decoded; what belongs together may come in several pieces. */
  text(text: string): void;
  /** Whether the next tag stands in SVG or MathML, where script, style and title are elements like any other. */
  isForeign(): boolean;
}

const NONE: Attributes = new Map();

/**
 * Feeds a document to a handler, in time and memory that grow with its length and nothing else.
 *
 * That is why it is a tokenizer and no parser: with a stack of open elements, 100,000 of them and as many end tags
 * that match none take minutes. Bun's HTMLRewriter has one (1 MB of such a page: 43 s), and while it is busy in native
 * code its thread cannot even be terminated.
 *
 * @param xhtml whether "/>" ends every element
 */
export function tokenize(html: string, handler: TokenHandler, xhtml: boolean): void {
  let tag = "";
  let wanted: ReadonlySet<string> | undefined;
  let attributes: Map<string, string> | undefined;
  let name: string | null = null;
  let value = "";
  const opened = (selfClosing: boolean): void => handler.open(tag, attributes ?? NONE, selfClosing);
  const tokenizer = new Tokenizer(
    { recognizeSelfClosing: xhtml },
    {
      onopentagname(start, end) {
        tag = html.slice(start, end).toLowerCase();
        wanted = handler.wanted.get(tag);
        attributes = undefined;
        name = null;
      },
      onattribname(start, end) {
        if (wanted === undefined) return;
        const written = html.slice(start, end).toLowerCase();
        name = wanted.has(written) ? written : null;
        value = "";
      },
      onattribdata(start, end) {
        if (name !== null) value += html.slice(start, end);
      },
      onattribentity(codePoint) {
        if (name !== null) value += String.fromCodePoint(codePoint);
      },
      onattribend() {
        if (name === null) return;
        attributes ??= new Map();
        if (!attributes.has(name)) attributes.set(name, value);
        name = null;
      },
      onopentagend: () => opened(false),
      onselfclosingtag: () => opened(true),
      onclosetag: (start, end) => handler.close(html.slice(start, end).toLowerCase()),
      ontext: (start, end) => handler.text(html.slice(start, end)),
      ontextentity: (codePoint) => handler.text(String.fromCodePoint(codePoint)),
      oncdata(start, end, offset) {
        if (xhtml || handler.isForeign()) handler.text(html.slice(start, end - offset));
      },
      oncomment() {},
      ondeclaration() {},
      onprocessinginstruction() {},
      onend() {},
      isInForeignContext: () => handler.isForeign(),
    },
  );
  tokenizer.write(html);
  tokenizer.end();
}
