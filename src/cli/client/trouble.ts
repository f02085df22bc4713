import { ApiError, Unreachable } from "./http.ts";
import { NoSession } from "./session.ts";
import { clean } from "./show.ts";
import type { Words } from "./words-en.ts";

/** A command cannot be done; the message is in the user's language. */
export class Trouble extends Error {
  override readonly name = "Trouble";
}

/** What went wrong, for the user, a line each. */
export function describe(error: unknown, words: Words): string[] {
  if (error instanceof Trouble) return error.message.split("\n");
  if (error instanceof Unreachable) return [words.unreachable(clean(error.server), reasonOf(error, words))];
  if (error instanceof NoSession) return [sessionText(error, words)];
  if (error instanceof ApiError) return refusal(error, words);
  return [clean(error instanceof Error ? error.message : String(error))];
}

/** Why there is no connection, in a few words. */
export const reasonOf = (error: Error, words: Words): string =>
  error instanceof Unreachable ? (words.reasons[error.reason] ?? clean(error.reason)) : clean(error.message);

/** Where the server's own sentence names the problem, it is not said again. */
function refusal({ code, message, problems }: ApiError, words: Words): string[] {
  const known = words.codes[code];
  const untold = problems.filter((problem) => known !== undefined || !message.endsWith(problem.message));
  const lines = untold.map((problem) => `  ${clean(problem.path.replace(/^\//, ""))}: ${problemText(problem.message, words)}`);
  return [known ?? capital(clean(message)), ...lines];
}

function sessionText(error: NoSession, words: Words): string {
  if (error.code === "no_session") return words.notLoggedIn;
  return error.code === "session_ended" ? words.sessionEnded : clean(error.message);
}

const capital = (text: string): string => `${text.slice(0, 1).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;

/** What is wrong with a value: schemas are checked in English. */
export function problemText(problem: string, words: Words): string {
  for (const [pattern, text] of words.problems) if (pattern.test(problem)) return clean(problem.replace(pattern, text));
  return clean(problem);
}
