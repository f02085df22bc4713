import { basename } from "node:path";

interface Position {
  readonly line?: number;
  readonly column?: number;
  readonly file?: string;
}

/**
 * Why a task file cannot be used, in one line that begins with where: `resize.ts:3:13: Unexpected ,`.
 *
 * @param file absolute path of the file that was imported
 * @param made in it, by whose stack the place is told where that of the error does not touch the file
 */
export function reasonOf(file: string, error: unknown, made?: Error): string {
  const first = error instanceof AggregateError && error.errors.length > 0 ? (error.errors[0] as unknown) : error;
  const message = first instanceof Error || hasMessage(first) ? first.message : String(first);
  const position = (first as { position?: Position | null } | null)?.position ?? onStack(file, first) ?? onStack(file, made);
  return `${shown(position?.file ?? file, position)}: ${message.split("\n")[0]}`;
}

/** Where in a file something was made, by its stack: `resize.ts:3:13`; without a line where the stack does not touch the file. */
export const placeOf = (file: string, made: Error | undefined): string => shown(file, onStack(file, made));

const shown = (file: string, position: Position | null | undefined): string =>
  position?.line === undefined ? basename(file) : `${basename(file)}:${position.line}:${position.column ?? 1}`;

const hasMessage = (value: unknown): value is { message: string } =>
  typeof (value as { message?: unknown } | null)?.message === "string";

/** The topmost place of the stack that lies in the file itself. */
function onStack(file: string, error: unknown): Position | undefined {
  const stack = error instanceof Error ? (error.stack ?? "") : "";
  const at = stack.indexOf(`${file}:`);
  const match = at < 0 ? null : /^:(\d+):(\d+)/.exec(stack.slice(at + file.length));
  return match ? { line: Number(match[1]), column: Number(match[2]) } : undefined;
}
