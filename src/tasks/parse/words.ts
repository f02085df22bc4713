/** Counting words in text that comes piece by piece. */

const LETTER_OR_DIGIT = /[\p{L}\p{N}]/u;
/** Scripts that write words without spaces between them. */
const UNSPACED = /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Thai}\p{sc=Lao}\p{sc=Khmer}\p{sc=Myanmar}\u30fc\u3005]/u;
const WHITESPACE = /\s/;
/** A longer run is segmented in parts: it bounds memory, and costs at most one word a part. */
const MAX_RUN = 4_096;

let segmenter: Intl.Segmenter | undefined;

/**
 * Counts words: runs of non-space characters with at least one letter or digit in them, as `wc` does but without
 * lone punctuation. Chinese, Japanese, Thai and the like are segmented by dictionary.
 */
export class WordCounter {
  #count = 0;
  /** Whether the current run has been counted; null between runs. */
  #counted = false;
  #run = "";

  get count(): number {
    this.break();
    return this.#count;
  }

  /** Text that goes on where the last left off: "foo" and "bar" are one word. */
  add(text: string): void {
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code < 0x80) this.#ascii(code);
      else {
        const point = text.codePointAt(at) ?? code;
        if (point > 0xffff) at++;
        this.#other(point);
      }
    }
  }

  /** Ends the current word: a block element, say, starts. */
  break(): void {
    this.#counted = false;
    this.#endRun();
  }

  #ascii(code: number): void {
    if (this.#run !== "") this.#endRun();
    if (code <= 0x20) this.#counted = false;
    else if (!this.#counted && isAsciiAlphanumeric(code)) this.#countOne();
  }

  #other(point: number): void {
    const character = String.fromCodePoint(point);
    if (UNSPACED.test(character)) {
      // Whatever stood before without a space is a word by itself.
      this.#counted = false;
      this.#run += character;
      if (this.#run.length >= MAX_RUN) this.#endRun();
      return;
    }
    if (this.#run !== "") {
      // Marks and the like (vowel signs, variation selectors) belong to the run that they follow.
      if (/\p{M}/u.test(character)) {
        this.#run += character;
        return;
      }
      this.#endRun();
    }
    if (WHITESPACE.test(character)) this.#counted = false;
    else if (!this.#counted && LETTER_OR_DIGIT.test(character)) this.#countOne();
  }

  #countOne(): void {
    this.#counted = true;
    this.#count++;
  }

  #endRun(): void {
    if (this.#run === "") return;
    segmenter ??= new Intl.Segmenter("und", { granularity: "word" });
    for (const { isWordLike } of segmenter.segment(this.#run)) if (isWordLike) this.#count++;
    this.#run = "";
  }
}

function isAsciiAlphanumeric(code: number): boolean {
  return (code >= 0x30 && code <= 0x39) || (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a);
}
