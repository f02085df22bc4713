import { describe, expect, test } from "bun:test";
import { LANGUAGES, languageOf, statusText, wordsOf } from "../../src/cli/client/words.ts";
import { COMMAND_NAMES } from "../../src/cli/client/words-en.ts";
import { FLAGS, valuesOf } from "../../src/config.ts";
import { STATUSES } from "../../src/domain/task.ts";

describe.each([...LANGUAGES])("the words in %s", (language) => {
  const words = wordsOf(language);

  test("name each command and each status, and no text is empty", () => {
    expect(Object.keys(words.commands)).toEqual([...COMMAND_NAMES]);
    expect(Object.keys(words.statuses)).toEqual([...STATUSES]);
    expect(new Set(Object.values(words.statuses)).size).toBe(STATUSES.length);
    const texts = JSON.stringify(words, (_, value: unknown) => (typeof value === "function" ? value.toString() : value));
    expect(texts).not.toMatch(/:""|\["",|,""/);
  });

  test("name the command itself in its usage", () => {
    for (const name of COMMAND_NAMES) expect(words.commands[name][0].split(" ")[0]).toBe(name);
  });
});

test("a status that is not known is told as it comes", () => {
  expect(statusText(wordsOf("ru"), "paused")).toBe("paused");
});

test("--lang takes the languages that there are", () => {
  expect(valuesOf(FLAGS.lang)).toEqual(LANGUAGES);
});

test("numbers have their forms", () => {
  const forms = (language: "en" | "ru") => [0, 1, 2, 5, 11, 21, 22, 112].map((n) => wordsOf(language).pages(n, n));
  expect(forms("ru").map((text) => text.split(",")[0])).toEqual([
    "0 страниц",
    "1 страница",
    "2 страницы",
    "5 страниц",
    "11 страниц",
    "21 страница",
    "22 страницы",
    "112 страниц",
  ]);
  expect(forms("en").slice(0, 3)).toEqual(["0 pages, 0 distinct links", "1 page, 1 distinct link", "2 pages, 2 distinct links"]);
});

test.each([
  [{ LC_ALL: "ru_RU.UTF-8", LANG: "en_US.UTF-8" }, "ru"],
  [{ LC_ALL: "", LC_MESSAGES: "ru", LANG: "en_US.UTF-8" }, "ru"],
  [{ LC_ALL: "C", LANG: "ru_RU.UTF-8" }, "en"],
  [{ LANG: "RU_ru" }, "ru"],
  [{ LANG: "run_BI" }, "en"],
  [{}, "en"],
] as const)("the language of %p is %s", (environment, language) => {
  expect(languageOf(environment)).toBe(language);
});
