import { describe, expect, test } from "bun:test";
import { resultText } from "../../src/cli/client/result.ts";
import {
  clean,
  cleanLines,
  fit,
  type Look,
  noticeLine,
  progressBar,
  shortId,
  type TaskState,
  taskDetails,
  taskLine,
  taskLines,
} from "../../src/cli/client/show.ts";
import { type Language, wordsOf } from "../../src/cli/client/words.ts";

const look = (columns: number, language: Language = "en", styled = false): Look => ({
  words: wordsOf(language),
  language,
  columns,
  styled,
});
const state = (part: Partial<TaskState> = {}): TaskState => ({
  task_id: "01a20dce-b5be-7000-98a6-be17703c4018",
  name: "parse",
  status: "in progress",
  progress: 0.34,
  message: "17 of 50 pages",
  attempt: 1,
  error: null,
  ...part,
});

describe("what a server says", () => {
  test("loses control characters, and what turns the direction of the text", () => {
    expect(clean("a\x1b[31mred\x07\r\nb\u202ec\u2066d\u009be\tf")).toBe("a[31mred bcde f");
    expect(cleanLines('{\n  "a":\t1\x1b]0;title\x07\r\n}')).toBe('{\n  "a":  1]0;title\n}');
  });

  test("reaches no terminal whole: names, messages, errors and results", () => {
    const evil = "\x1b[2J\x1b]52;c;aGk=\x07\u202e";
    const notice = {
      ...state({ name: evil, message: evil, status: "failed", error: { code: evil, message: evil } }),
      seq: 1,
      owner_id: "",
      result: null,
      at: evil,
    };
    const page = { url: evil, status: 200, title: evil, words: 1, links: [] };
    const shown = [
      noticeLine(notice, look(80)),
      taskLine(state({ name: evil, message: evil }), look(80)),
      resultText(evil, look(80)),
      resultText({ [evil]: evil }, look(80)),
      resultText({ pages: [page], links_total: 0, pages_total: 1 }, look(80)),
    ].join("\n");
    // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is looked for.
    expect(shown).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/);
  });
});

describe("a task in a line", () => {
  test("says what it does, or why it failed", () => {
    expect(taskLine(state(), look(80))).toBe("703c4018  parse  ▸ in progress  ▰▰▰▱▱▱▱▱▱▱  34%  17 of 50 pages");
    expect(
      taskLine(state({ status: "retrying", attempt: 2, error: { code: "fetch_failed", message: "no answer" } }), look(80)),
    ).toBe("703c4018  parse  ↻ retrying  ▰▰▰▱▱▱▱▱▱▱  34%  attempt 2  fetch_failed: no answer");
    expect(taskLine(state({ status: "done", progress: 1, message: null }), look(80, "ru"))).toBe("703c4018  parse  ✓ готова");
  });

  test("says why it is queued, and keeps that to itself once it is not", () => {
    const waiting = "the task is\x1b[2J paused";
    expect(taskLine(state({ status: "queued", progress: null, message: "of an attempt before", waiting }), look(80))).toBe(
      "703c4018  parse  · queued  the task is[2J paused",
    );
    expect(taskLine(state({ waiting }), look(80))).toBe(taskLine(state(), look(80)));
  });

  test("fits any width, with wide characters and colours too", () => {
    for (const columns of [1, 2, 10, 20, 30, 49, 50, 80])
      for (const styled of [true, false])
        for (const line of [
          ...taskLines([state({ message: "頁 👩‍👩‍👧‍👦 ".repeat(20) })], look(columns, "ru", styled)),
          fit("全角文字", columns),
        ])
          expect(Bun.stringWidth(line)).toBeLessThanOrEqual(columns);
  });

  test("has no colours where none are wanted, and a status that is not known as it comes", () => {
    expect(taskLine(state({ status: "paused\x1b[0m" }), look(80))).toContain("· paused[0m");
    expect(taskLine(state(), look(80))).not.toContain("\x1b");
    expect(taskLine(state(), look(80, "en", true))).toContain("\x1b[36m▸ in progress\x1b[0m");
  });

  test("lines up with others", () => {
    const [first, second] = taskLines([state({ name: "a" }), state({ name: "longer", status: "done" })], look(80));
    expect(first?.indexOf("▸")).toBe(second?.indexOf("✓") ?? -1);
  });
});

describe("all of a task", () => {
  const view = { ...state(), owner_id: "", queue: "default", max_attempts: 3, cancel_requested: false, seq: 1 };
  const times = { created_at: "2026-01-01T00:00:00.000Z", run_at: null, started_at: null, finished_at: null };
  const labels = (part: object): (string | undefined)[] =>
    taskDetails({ ...view, ...times, ...part }, look(80)).map((line) => line.split(" ")[0]);

  test("says when it begins where that is known and still to come, and why it waits", () => {
    const run_at = "2099-01-01T00:00:00.000Z";
    for (const status of ["scheduled", "retrying"]) expect(labels({ status, run_at })).toContain("begins");
    expect(labels({ status: "scheduled", run_at: null })).not.toContain("begins");
    expect(labels({ status: "queued", run_at, waiting: "no worker" })).not.toContain("begins");
    expect(labels({ status: "queued" })).not.toContain("waiting");
    const lines = taskDetails({ ...view, ...times, status: "queued", waiting: "no\x1b[2J worker" }, look(80));
    expect(lines).toContain("waiting   no[2J worker");
  });
});

test("progress is drawn within its bounds", () => {
  expect([progressBar(-1, 4), progressBar(0.5, 4), progressBar(7, 4)]).toEqual(["▱▱▱▱", "▰▰▱▱", "▰▰▰▰"]);
});

test("a short id is the end, where ids differ", () => {
  expect(shortId("01a20dce-b5be-7000-98a6-be17703c4018")).toBe("703c4018");
});

describe("a result", () => {
  const page = { url: "https://example.com/", status: 200, title: "Home", words: 1200, links: ["a", "b"] };

  test("of parse is a table", () => {
    const pages = [page, { url: "https://example.com/gone", status: null, title: null, words: 0, links: [], error: "no answer" }];
    expect(resultText({ pages, links_total: 2, pages_total: 2 }, look(80))).toBe(
      [
        "HTTP  words  links  page",
        " 200   1200      2  Home  https://example.com/",
        "   —      0      0  no answer  https://example.com/gone",
        "2 pages, 2 distinct links",
      ].join("\n"),
    );
    expect(resultText({ pages, links_total: 21, pages_total: 2 }, look(80, "ru"))).toEndWith("2 страницы, 21 разная ссылка");
  });

  test("is text, or JSON", () => {
    expect(resultText("two\nlines", look(80))).toBe("two\nlines");
    expect(resultText({ a: [1] }, look(80))).toBe('{\n  "a": [\n    1\n  ]\n}');
    expect([resultText(null, look(80)), resultText(undefined, look(80)), resultText({ pages: [1] }, look(80))]).toEqual([
      "null",
      "",
      '{\n  "pages": [\n    1\n  ]\n}',
    ]);
  });
});
