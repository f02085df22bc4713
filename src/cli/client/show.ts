import { hasEnded, type LogLineView, type Notice, type TaskView } from "./shapes.ts";
import { type Language, statusText } from "./words.ts";
import type { Words } from "./words-en.ts";

/** How things are to look. */
export interface Look {
  readonly words: Words;
  readonly language: Language;
  /** A line may take so many; Infinity where nobody looks. */
  readonly columns: number;
  /** Whether colours may be used. */
  readonly styled: boolean;
}

/** What lists and notices say of a task. */
export type TaskState = Pick<TaskView, "task_id" | "name" | "status" | "progress" | "message" | "attempt" | "error" | "waiting">;

const SHORT_ID = 8;
const BAR = 10;
/** An input is shown so far. */
const INPUT_COLUMNS = 200;
/** Names that are longer are not lined up. */
const NAME_MAX = 24;
/** Narrower places get no bars, no times and no columns. */
const NARROW = 50;
const STYLES = { red: 31, green: 32, yellow: 33, cyan: 36, dim: 2, bold: 1 } as const;
export type Style = keyof typeof STYLES;
const STATUS_STYLES: Readonly<Record<string, Style>> = {
  done: "green",
  failed: "red",
  cancelled: "yellow",
  retrying: "yellow",
  "in progress": "cyan",
};
const MARKS: Readonly<Record<string, string>> = {
  done: "✓",
  failed: "✗",
  cancelled: "✗",
  retrying: "↻",
  "in progress": "▸",
};

/**
 * Text of a server as one line that a terminal can be given: without control characters, and without those that turn the
 * direction of what follows.
 */
export const clean = (text: string): string => harmless(text.replaceAll(/\s+/gu, " "));

/** The same for text of several lines, whose spaces stay. */
export const cleanLines = (text: string): string =>
  text
    .split(/\r\n|\r|\n/)
    .map((line) => harmless(line.replaceAll("\t", "  ")))
    .join("\n");

const harmless = (text: string): string => text.replaceAll(/[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/gu, "");

/** Cut to a width, with `…` where something is missing. */
export function fit(text: string, columns: number): string {
  if (columns === Number.POSITIVE_INFINITY) return text;
  const cut = Bun.sliceAnsi(text, 0, Math.max(1, columns), "…");
  // Where a wide character stands across the edge, one column too many comes back.
  return Bun.stringWidth(cut) > columns && columns > 1 ? Bun.sliceAnsi(text, 0, columns - 1, "…") : cut;
}

export const paint = (text: string, style: Style | undefined, { styled }: Pick<Look, "styled">): string =>
  styled && style !== undefined ? `\x1b[${STYLES[style]}m${text}\x1b[0m` : text;

/** Ids begin with a time that close ones share: their end tells them apart. */
export const shortId = (id: string): string => clean(id).slice(-SHORT_ID);

/** @param progress 0 to 1 */
export function progressBar(progress: number, width = BAR): string {
  const full = Math.round(Math.min(1, Math.max(0, progress)) * width);
  return `${"▰".repeat(full)}${"▱".repeat(width - full)}`;
}

export const percent = (progress: number): string => `${Math.floor(Math.min(1, Math.max(0, progress)) * 100)}%`;

/** One task in one line: id, name, status, what it does or why it failed. */
export function taskLine(task: TaskState, look: Look, nameWidth = 0): string {
  const status = `${markOf(task.status)} ${clean(statusText(look.words, task.status))}`;
  const parts = [
    paint(shortId(task.task_id), "dim", look),
    padded(clean(task.name), nameWidth),
    paint(nameWidth > 0 ? padded(status, statusWidth(look.words)) : status, STATUS_STYLES[task.status], look),
    ...(hasEnded(task) ? [] : progressParts(task, look)),
    ...detailParts(task, look),
  ];
  return fit(parts.join(isNarrow(look) ? " " : "  ").trimEnd(), look.columns);
}

/** A change of a task, as it is told above the prompt; where there is no room, without its time. */
export function noticeLine(notice: Notice, look: Look): string {
  if (isNarrow(look)) return taskLine(notice, look);
  const time = timeOf(notice.at, look.language);
  return `${paint(time, "dim", look)} ${taskLine(notice, { ...look, columns: look.columns - time.length - 1 })}`;
}

const isNarrow = ({ columns }: Look): boolean => columns < NARROW;

function progressParts({ progress }: TaskState, look: Look): string[] {
  if (progress === null) return [];
  const share = percent(progress);
  return [isNarrow(look) ? share : `${progressBar(progress)} ${share.padStart(4)}`];
}

function detailParts({ status, message, error, attempt, waiting }: TaskState, { words }: Look): string[] {
  if (status === "queued" && waiting !== undefined) return [clean(waiting)];
  const tried = status === "retrying" || (attempt > 1 && status === "in progress") ? [words.attempt(attempt)] : [];
  const why = error !== null && status !== "done" ? [clean(`${error.code}: ${error.message}`)] : [];
  const doing = message !== null && why.length === 0 ? [clean(message)] : [];
  return [...tried, ...why, ...doing];
}

const markOf = (status: string): string => MARKS[status] ?? "·";
const statusWidth = (words: Words): number =>
  2 + Math.max(...Object.values(words.statuses).map((status) => Bun.stringWidth(status)));
const padded = (text: string, width: number): string => text + " ".repeat(Math.max(0, width - Bun.stringWidth(text)));

/** Some tasks under each other, in columns where there is room. */
export function taskLines(tasks: readonly TaskState[], look: Look): string[] {
  const widest = Math.max(0, ...tasks.map(({ name }) => Bun.stringWidth(clean(name))));
  const width = isNarrow(look) ? 0 : Math.min(NAME_MAX, widest);
  return tasks.map((task) => taskLine(task, look, width));
}

/** The time of day; of another day, with the date. */
export function timeOf(at: string, language: Language, now = new Date()): string {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return clean(at);
  const sameDay = date.toDateString() === now.toDateString();
  return new Intl.DateTimeFormat(language, {
    ...(!sameDay && { dateStyle: "medium" }),
    timeStyle: "medium",
    hourCycle: "h23",
  }).format(date);
}

/** All of a task but its result, a line each. */
export function taskDetails(task: TaskView, look: Look): string[] {
  const { words, language } = look;
  const { labels } = words;
  const time = (at: string | null): string | undefined => (at === null ? undefined : timeOf(at, language));
  const rows: (readonly [label: string, value: string | undefined])[] = [
    [labels.id, clean(task.task_id)],
    [labels.task, clean(task.name)],
    [labels.status, paint(clean(statusText(words, task.status)), STATUS_STYLES[task.status], look)],
    [labels.waiting, task.waiting === undefined ? undefined : clean(task.waiting)],
    [labels.begins, task.status === "scheduled" || task.status === "retrying" ? time(task.run_at) : undefined],
    [labels.progress, task.progress === null ? undefined : `${progressBar(task.progress)} ${percent(task.progress)}`],
    [labels.message, task.message === null ? undefined : clean(task.message)],
    [labels.error, task.error === null ? undefined : clean(`${task.error.code}: ${task.error.message}`)],
    [labels.attempt, `${task.attempt}/${task.max_attempts}`],
    [labels.queue, clean(task.queue)],
    [labels.created, time(task.created_at)],
    [labels.started, time(task.started_at)],
    [labels.finished, time(task.finished_at)],
    [labels.input, task.args === undefined ? undefined : fit(clean(JSON.stringify(task.args)), INPUT_COLUMNS)],
  ];
  return labelled(rows, look);
}

function labelled(rows: readonly (readonly [label: string, value: string | undefined])[], look: Look): string[] {
  const shown = rows.filter((row): row is readonly [string, string] => row[1] !== undefined);
  const width = Math.max(...shown.map(([label]) => Bun.stringWidth(label)));
  return shown.map(([label, value]) => `${paint(padded(label, width), "dim", look)}  ${value}`);
}

export function logLines(lines: readonly LogLineView[], look: Look): string[] {
  return lines.map(({ at, level, message }) => {
    const style = level === "error" ? "red" : level === "warn" ? "yellow" : "dim";
    return `${paint(timeOf(at, look.language), "dim", look)} ${paint(clean(level).padEnd(5), style, look)} ${clean(message)}`;
  });
}
