import { ENGLISH, type Words } from "./words-en.ts";
import { RUSSIAN } from "./words-ru.ts";

export const LANGUAGES = ["en", "ru"] as const;
export type Language = (typeof LANGUAGES)[number];

const CATALOGS: Readonly<Record<Language, Words>> = { en: ENGLISH, ru: RUSSIAN };

export const wordsOf = (language: Language): Words => CATALOGS[language];

/** The language of messages as POSIX names it: the first of these variables that is set decides; English without. */
export function languageOf({ LC_ALL, LC_MESSAGES, LANG }: Readonly<Record<string, string | undefined>>): Language {
  const locale = LC_ALL || LC_MESSAGES || LANG || "";
  return LANGUAGES.find((language) => new RegExp(`^${language}([_.@-]|$)`, "i").test(locale)) ?? "en";
}

/** A status in this language; one that is not known here as the server names it. */
export const statusText = (words: Words, status: string): string =>
  (words.statuses as Readonly<Record<string, string>>)[status] ?? status;
