/**
 * Builds the executable: `bun run build [--target bun-linux-arm64] [--outfile FILE] [--if-stale]`.
 */
import { Database } from "bun:sqlite";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, utimesSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { parseArgs } from "node:util";

const ROOT = join(import.meta.dir, "..");

/** The program, then every file that a Worker starts: one that is not named here is missing from the executable. */
export const ENTRIES = ["src/main.ts", "src/workers/thread.ts", "src/workers/loader.ts"];

/** What the executable is made of. */
const SOURCES = [
  "src",
  "drizzle",
  "package.json",
  "bun.lock",
  "tsconfig.json",
  "scripts/build.ts",
  "scripts/declarations.ts",
  "scripts/client-source.ts",
];

/** How the sources become bundles. */
export const BUNDLE_FLAGS = [
  // What a command does not need, such as the docs page or the validator, is not read before it is needed.
  "--splitting",
  // Without it, bytecode makes import.meta.url a path of the building machine, and workers are looked for there.
  "--format=esm",
  // Renamed identifiers break Elysia's analysis of handlers, so these two and not --minify.
  "--minify-whitespace",
  "--minify-syntax",
];

const FLAGS = [
  "--compile",
  "--bytecode",
  ...BUNDLE_FLAGS,
  // A service must not change with the folder it is started in.
  "--no-compile-autoload-dotenv",
  "--no-compile-autoload-bunfig",
  // What task files import is found where their packages' package.json and the tsconfig.json around them say.
  "--compile-autoload-package-json",
  "--compile-autoload-tsconfig",
];

export interface BuildOptions {
  /** Bun's name of another platform; this one by default. */
  readonly target?: string;
  /** `dist/artel` by default. */
  readonly outfile?: string;
}

/**
 * Builds, and puts the new file in the old one's place in one step, so that whoever runs the old one goes on.
 *
 * @returns the absolute path of the executable
 */
export async function build({ target = "bun", outfile = defaultOutfile(target) }: BuildOptions = {}): Promise<string> {
  const file = join(ROOT, outfile);
  mkdirSync(dirname(file), { recursive: true });
  const begun = new Date();
  const unfinished = `${file}.${process.pid}${target.includes("windows") ? ".exe" : ""}`;
  const bun = Bun.spawn([process.execPath, "build", ...FLAGS, `--target=${target}`, ...ENTRIES, `--outfile=${unfinished}`], {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output = await Promise.all([bun.stdout.text(), bun.stderr.text()]);
  if ((await bun.exited) !== 0 || !existsSync(unfinished)) {
    rmSync(unfinished, { force: true });
    throw new Error(`the executable could not be built:\n${output.join("")}`);
  }
  // A source that changed while the build ran must count as newer than what came out of it.
  utimesSync(unfinished, begun, begun);
  renameSync(unfinished, file);
  return file;
}

/** Builds `dist/artel` unless it is newer than all that it is made of; safe with any number of processes at once. */
export async function buildIfStale(): Promise<string> {
  const file = join(ROOT, defaultOutfile("bun"));
  if (!isStale(file)) return file;
  mkdirSync(dirname(file), { recursive: true });
  // SQLite serves as a lock that the system releases if its holder dies.
  using lock = new Database(join(dirname(file), ".build-lock"));
  lock.run("PRAGMA busy_timeout = 300000");
  lock.run("BEGIN EXCLUSIVE");
  return isStale(file) ? await build() : file;
}

function defaultOutfile(target: string): string {
  const windows = target === "bun" ? process.platform === "win32" : target.includes("windows");
  const suffix = target === "bun" ? "" : target.slice("bun".length);
  return `dist/artel${suffix}${windows ? ".exe" : ""}`;
}

function isStale(file: string): boolean {
  if (!existsSync(file)) return true;
  const built = statSync(file).mtimeMs;
  return SOURCES.some((source) => newest(join(ROOT, source)) > built);
}

/** Folders count with their own stamps: those change when a file in them is removed. */
function newest(path: string): number {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat) return 0;
  if (!stat.isDirectory()) return stat.mtimeMs;
  return Math.max(stat.mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))));
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { target: { type: "string" }, outfile: { type: "string" }, "if-stale": { type: "boolean" } },
  });
  const { "if-stale": ifStale, ...options } = values;
  try {
    const file = ifStale ? await buildIfStale() : await build(options);
    console.log(`${relative(ROOT, file)}  ${(statSync(file).size / 1e6).toFixed(1)} MB`);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
