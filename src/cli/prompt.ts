import { createInterface } from "node:readline";
import { Writable } from "node:stream";
import { ArtelError } from "../domain/errors.ts";

/** A line of a pipe may be so long, in characters. */
const LINE_MAX = 65_536;

/**
 * A password: the first line of a pipe; from a terminal, what is typed behind the question, which does not show.
 *
 * @throws ArtelError `no_password`, `abandoned`
 */
export async function readPassword(question = "Password: "): Promise<string> {
  const password = process.stdin.isTTY ? await askHidden(question) : await firstLine();
  if (password === "") throw new ArtelError("no_password", "no password came: type it, or send it on stdin");
  return password;
}

/**
 * A password that is to hold from now on: a terminal asks for it twice.
 *
 * @throws ArtelError `no_password`, `abandoned`, `passwords_differ`
 */
export async function readNewPassword(): Promise<string> {
  const password = await readPassword("New password: ");
  if (process.stdin.isTTY && (await askHidden("The same again: ")) !== password)
    throw new ArtelError("passwords_differ", "the two passwords are not the same");
  return password;
}

/** The question stands on stderr, as stdout may be read by a program. Ctrl-C and Ctrl-D give it up. */
async function askHidden(question: string): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const reader = createInterface({ input: process.stdin, output: nowhere, terminal: true, historySize: 0 });
  process.stderr.write(question);
  reader.on("line", resolve);
  // Back from Ctrl-Z, which has paused the input.
  reader.on("SIGCONT", () => {
    process.stderr.write(question);
    reader.resume();
  });
  reader.on("SIGINT", () => resolve(undefined));
  reader.on("close", () => resolve(undefined));
  const typed = await promise;
  reader.close();
  process.stderr.write("\n");
  if (typed === undefined) throw new ArtelError("abandoned", "given up: nothing was changed");
  return typed;
}

async function firstLine(): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of Bun.stdin.stream()) {
    text += decoder.decode(chunk, { stream: true });
    if (text.includes("\n") || text.length > LINE_MAX) break;
  }
  return (text.split("\n", 1)[0] ?? "").replace(/\r$/, "");
}
