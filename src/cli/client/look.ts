import type { Look } from "./show.ts";
import { type Language, languageOf, wordsOf } from "./words.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** Whether a terminal is there that understands escape codes. */
export const canRedraw = (output: NodeJS.WriteStream, { TERM }: Environment): boolean => output.isTTY === true && TERM !== "dumb";

/** How things are to look on an output: to people in their language and width, to programs always the same. */
export function lookOf(output: NodeJS.WriteStream, environment: Environment): Look {
  const language: Language = output.isTTY ? languageOf(environment) : "en";
  return {
    words: wordsOf(language),
    language,
    columns: output.isTTY ? output.columns || 80 : Number.POSITIVE_INFINITY,
    styled: canRedraw(output, environment) && !environment["NO_COLOR"],
  };
}
