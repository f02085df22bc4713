import { clientSource } from "../../../scripts/client-source.ts" with { type: "macro" };
import type { Definition } from "../client/shapes.ts";
import { declare, docComment, pascal, propertyName } from "./type-text.ts";

/** The client without its tasks; see client.ts. */
const SOURCE: string = clientSource();

/** A TypeScript file that needs no other: the types of these tasks, and a client for them. */
export function clientFile(server: string, definitions: readonly Definition[]): string {
  const names = namesOf(definitions);
  const types: string[] = [];
  const taken = new Set([...names.values()].flatMap((base) => [`${base}Input`, `${base}Output`]));
  const rows = definitions.map(({ name, description, input, output }) => {
    const base = names.get(name) ?? "";
    types.push(...declare(`${base}Input`, input, "input", taken), ...declare(`${base}Output`, output ?? {}, "output", taken));
    return `${docComment(description, "  ")}  ${propertyName(name)}: { input: ${base}Input; output: ${base}Output };\n`;
  });
  return [
    "// A client for the tasks of an Artel server, written by `artel types`: to be written anew when the tasks change.\n",
    `/** Where the server was when this was written. */\nconst SERVER = ${JSON.stringify(server)};\n`,
    `/** The tasks that it offers, by name. */\nexport interface Tasks {\n${rows.join("")}}\n`,
    `${types.join("\n")}\n`,
    SOURCE,
  ].join("\n");
}

/** A name for the types of each task; where two would have the same, a number tells them apart. */
function namesOf(definitions: readonly Definition[]): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  const taken = new Set<string>();
  for (const { name } of definitions) {
    const base = /^\d/.test(pascal(name)) ? `Task${pascal(name)}` : pascal(name);
    let free = base;
    for (let n = 2; taken.has(free); n += 1) free = `${base}_${n}`;
    taken.add(free);
    names.set(name, free);
  }
  return names;
}
