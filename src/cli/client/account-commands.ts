import { login, register } from "./api.ts";
import type { Desk } from "./desk.ts";
import type { KeptSession } from "./session.ts";
import { Trouble } from "./trouble.ts";

/** @throws Trouble where ARTEL_TOKEN speaks for the user */
function keptOf({ kept, words }: Desk): KeptSession {
  if (kept === undefined) throw new Trouble(words.withToken);
  return kept;
}

export async function registerCommand(desk: Desk, [given]: readonly string[]): Promise<void> {
  const { screen, words, server } = desk;
  keptOf(desk);
  const email = await emailOf(desk, given);
  const password = await screen.ask({ prompt: words.password, hidden: true });
  // Whoever cannot see what he types is asked twice; a pipe does not mistype.
  if (screen.interactive && (await screen.ask({ prompt: words.passwordAgain, hidden: true })) !== password)
    throw new Trouble(words.passwordsDiffer);
  await desk.until(register(server, email, password));
  desk.say(words.registered(email));
  await open(desk, email, password);
}

export async function loginCommand(desk: Desk, [given]: readonly string[]): Promise<void> {
  keptOf(desk);
  const email = await emailOf(desk, given);
  await open(desk, email, await desk.screen.ask({ prompt: desk.words.password, hidden: true }));
}

export async function logoutCommand(desk: Desk): Promise<void> {
  const kept = keptOf(desk);
  desk.unfollow();
  if (!(await desk.until(kept.end()))) throw new Trouble(desk.words.notLoggedIn);
  desk.say(desk.words.loggedOut);
}

async function emailOf({ screen, words }: Desk, given: string | undefined): Promise<string> {
  return given ?? (await screen.ask({ prompt: words.email })).trim();
}

async function open(desk: Desk, email: string, password: string): Promise<void> {
  const tokens = await desk.until(login(desk.server, email, password));
  await keptOf(desk).open(email, tokens);
  desk.say(desk.words.loggedIn(email));
  await desk.follow();
}
