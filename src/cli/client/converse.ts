import type { Io } from "../commands.ts";
import { version } from "../version.ts";
import { Desk } from "./desk.ts";
import { History } from "./history.ts";
import { call, Unreachable } from "./http.ts";
import { canRedraw } from "./look.ts";
import { PlainScreen } from "./plain-screen.ts";
import type { Screen } from "./screen.ts";
import { configFolder } from "./session.ts";
import { Shell } from "./shell.ts";
import { TerminalScreen } from "./terminal-screen.ts";
import { describe } from "./trouble.ts";
import { type Language, languageOf, wordsOf } from "./words.ts";

/**
 * The terminal client, from its greeting to its end.
 *
 * @param server as `http://HOST:PORT`
 * @returns the exit code: 1 where a pipe's command failed
 * @throws NoSession where there is no place to keep one
 */
export async function converse(server: string, chosen: Language | undefined, io: Io): Promise<number> {
  const { environment } = io;
  const folder = configFolder(environment);
  const language = chosen ?? languageOf(environment);
  const token = environment["ARTEL_TOKEN"]?.trim() || undefined;
  const screen = screenFor(io);
  const desk = new Desk({ screen, words: wordsOf(language), language, server, folder, token });
  const leave = (): void => desk.close();
  io.onSignal(leave);
  process.on("SIGHUP", leave);
  // A terminal that is gone.
  process.stdout.on("error", leave);
  process.once("exit", leave);
  try {
    await greet(desk);
    return (await new Shell(desk, new History(folder)).run()) ? 0 : 1;
  } finally {
    leave();
  }
}

function screenFor({ environment, out }: Io): Screen {
  const { stdin, stdout } = process;
  if (!stdin.isTTY || !stdout.isTTY) return new PlainScreen(stdin, out);
  const redraws = canRedraw(stdout, environment);
  return new TerminalScreen(stdin, stdout, { styled: redraws && !environment["NO_COLOR"], dumb: !redraws });
}

/** Where the server is, who is logged in, and what to do first; a pipe needs none of it. */
async function greet(desk: Desk): Promise<void> {
  const { words, server, kept, screen } = desk;
  const email = kept?.email;
  const nobody = kept !== undefined && email === undefined;
  if (screen.interactive) {
    desk.say(words.hello(version, server));
    desk.say(nobody ? words.firstSteps : email === undefined ? words.withToken : words.loggedIn(email));
  }
  try {
    if (!nobody) await desk.follow();
    else if (screen.interactive) await desk.until(call(server, "/health/live"));
  } catch (error) {
    desk.say(...describe(error, words), ...(error instanceof Unreachable ? [words.startServer] : []));
  }
}
