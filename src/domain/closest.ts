import { distance, closest as nearest } from "fastest-levenshtein";

/** So many letters may be wrong, missing, too many or exchanged for a guess, and not more than every second one. */
const MISTAKES_MAX = 3;

/** The known word that was meant, as far as that can be guessed; undefined: none is near. */
export function closest(word: string, known: readonly string[]): string | undefined {
  if (known.length === 0) return undefined;
  const guess = nearest(word.toLowerCase(), [...known]);
  return distance(word.toLowerCase(), guess) <= Math.min(MISTAKES_MAX, word.length / 2) ? guess : undefined;
}

/** As a question in brackets, behind what it is about; empty where there is no guess. */
export function didYouMean(word: string, known: readonly string[], prefix = ""): string {
  const guess = closest(word, known);
  return guess === undefined ? "" : ` (did you mean ${prefix}${guess}?)`;
}
