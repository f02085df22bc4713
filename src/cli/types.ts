import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { readCall } from "../config.ts";
import { ArtelError } from "../domain/errors.ts";
import type { Command } from "./commands.ts";

export const typesCommand: Command = {
  name: "types",
  purpose: "print a typed TypeScript client for a server's tasks",
  usage: "types [--out FILE] [--server URL]",
  flags: ["out", "server"],
  details: [
    "One file without imports, for browsers, Bun, Node 22 and Deno: the types of the tasks that the server offers now, and",
    'class Artel with submit, batch, run, get, list, wait, watch, cancel and retry. new Artel().run("parse", { url: "…" })',
  ],
  example: "artel types --out src/artel.ts",
  async run(args, io) {
    const call = readCall("types", args, typesCommand.flags, io.environment);
    const [{ apiOf }, { clientFile }] = await Promise.all([import("./client/connect.ts"), import("./typed/client-file.ts")]);
    const api = apiOf(call, io.environment);
    const text = clientFile(api.server, await api.definitions());
    const out = call.text("out");
    if (out === undefined) io.out(text.trimEnd());
    else keep(out, text);
    return 0;
  },
};

/** Makes the folder where there is none. A file that says the same already is left alone: whoever watches it need not build anew. */
function keep(file: string, text: string): void {
  try {
    if (textOf(file) === text) return;
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  } catch (error) {
    throw new ArtelError("file_unwritable", `cannot write ${file}: ${(error as Error).message}`, { cause: error });
  }
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}
