import { readFileSync } from "node:fs";
import { join } from "node:path";

/** What stands above it in client.ts stands there for the type checker; `artel types` puts something else in its place. */
const MARK = "// ---- what follows is the same for all servers ----\n";

/** The text of the client that `artel types` prints. A macro: it runs while the executable is built, which holds the text alone. */
export function clientSource(): string {
  const text = readFileSync(join(import.meta.dir, "../src/cli/typed/client.ts"), "utf8");
  const at = text.indexOf(MARK);
  if (at < 0) throw new Error("client.ts lacks its mark");
  return text.slice(at + MARK.length).trimStart();
}
