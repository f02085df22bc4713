/** An executable as a later release may be: of another version, which lays its messages out in another way. */
import { cpSync, existsSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { executable } from "./executable.ts";

export const NEXT_VERSION = "99.0.0";
/** What keys in Redis begin with, behind the namespace: of this release, and of that one. */
export const [LAYOUT, NEXT_LAYOUT] = ["v3", "v99"] as const;

const ROOT = join(import.meta.dir, "../..");
const COPIED = ["src", "drizzle", "scripts", "package.json", "bun.lock", "tsconfig.json"];

/** Its absolute path. It is built when it is older than this release's, from a copy of the sources with two words changed. */
export async function nextExecutable(): Promise<string> {
  const present = await executable();
  const file = join(ROOT, "dist/artel-next");
  if (existsSync(file) && statSync(file).mtimeMs >= statSync(present).mtimeMs) return file;
  const copy = mkdtempSync(join(tmpdir(), "artel-next-"));
  try {
    for (const name of COPIED) cpSync(join(ROOT, name), join(copy, name), { recursive: true });
    symlinkSync(join(ROOT, "node_modules"), join(copy, "node_modules"));
    edit(join(copy, "src/drivers/redis/keys.ts"), `const VERSION = "${LAYOUT}"`, `const VERSION = "${NEXT_LAYOUT}"`);
    edit(join(copy, "package.json"), /"version": "[^"]+"/, `"version": "${NEXT_VERSION}"`);
    const build = Bun.spawn([process.execPath, join(copy, "scripts/build.ts"), "--outfile", "artel-next"], {
      stdio: ["ignore", "ignore", "inherit"],
    });
    if ((await build.exited) !== 0) throw new Error("the next version could not be built");
    const unfinished = `${file}.${process.pid}`;
    cpSync(join(copy, "artel-next"), unfinished);
    renameSync(unfinished, file);
    return file;
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

function edit(file: string, what: string | RegExp, by: string): void {
  const [before, after] = [readFileSync(file, "utf8"), readFileSync(file, "utf8").replace(what, by)];
  if (after === before) throw new Error(`${file} has no ${what}`);
  writeFileSync(file, after);
}
