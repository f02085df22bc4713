/**
 * Finds or fetches the Bun that package.json pins. Runs on bare Node >= 20, before anything is installed.
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");

/** The running children get what this process is told to do; a child in its own group hears of Ctrl-C only through us. */
const children = new Set();
let ended = null;
let lastAt = 0;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => {
    ended = signal;
    // npm passes on a Ctrl-C that the terminal has sent here already: those two are one, and a second one would end a drain.
    const now = performance.now();
    if (now - lastAt < 300) return;
    lastAt = now;
    for (const child of children) child.kill(signal === "SIGHUP" ? "SIGTERM" : signal);
    if (children.size === 0) process.exit(exitCode(null, signal));
  });
}

/** The shell's convention for a process that a signal ended. */
function exitCode(code, signal) {
  return code ?? { SIGHUP: 129, SIGINT: 130, SIGKILL: 137, SIGTERM: 143 }[signal] ?? 1;
}

/**
 * Runs a program to its end with this process's streams (`stdout` and `stderr` may be sent elsewhere) and passes signals on to it.
 *
 * @returns its exit code; 127 if it could not be started
 */
export function run(command, args, { stdout = "inherit", stderr = "inherit", timeoutMs, ...options } = {}) {
  return new Promise((resolve) => {
    const started = spawn(command, args, {
      cwd: ROOT,
      detached: process.platform !== "win32",
      stdio: ["inherit", stdout, stderr],
      ...options,
    });
    children.add(started);
    const limit = timeoutMs && setTimeout(() => killGroup(started), timeoutMs);
    const done = (code) => {
      clearTimeout(limit);
      children.delete(started);
      resolve(code);
    };
    started.on("error", (error) => {
      console.error(`cannot run ${command}: ${error.message}`);
      done(127);
    });
    started.on("exit", (code, signal) => done(exitCode(code, signal)));
  });
}

function killGroup(process_) {
  try {
    process.kill(-process_.pid, "SIGKILL");
  } catch {
    process_.kill("SIGKILL");
  }
}

/** Ends this process if it was told to end while a step of the preparation ran. */
export function stopIfTold() {
  if (ended) process.exit(exitCode(null, ended));
}

/**
 * Makes the pinned Bun the one on PATH, for this process and its children, and installs the dependencies.
 *
 * @returns its path
 */
export async function prepare() {
  const { packageManager } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  const version = packageManager.slice("bun@".length);
  const bun = findBun(version) ?? (await fetchBun(version));
  process.env.PATH = `${dirname(bun)}${delimiter}${process.env.PATH ?? ""}`;
  const code = await run(bun, ["install", "--frozen-lockfile"], { stdout: 2 });
  stopIfTold();
  if (code !== 0) fail("the dependencies could not be installed (see above)");
  return bun;
}

export function fail(message) {
  console.error(message);
  process.exit(1);
}

function isBun(file, version) {
  const { status, stdout } = spawnSync(file, ["--version"], { encoding: "utf8" });
  return status === 0 && stdout.trim() === version;
}

function findBun(version) {
  const name = process.platform === "win32" ? "bun.exe" : "bun";
  const onPath = (process.env.PATH ?? "").split(delimiter).map((folder) => join(folder, name));
  return [...onPath, ...fetched(version)].find((file) => existsSync(file) && isBun(file, version));
}

const home = (version) => join(ROOT, "node_modules", `.bun-${version}`);

/** The programs inside the fetched package. Which of them this machine can run is seen by running them. */
function fetched(version) {
  const folder = join(home(version), "node_modules/@oven");
  if (!existsSync(folder)) return [];
  return readdirSync(folder).flatMap((name) => [join(folder, name, "bin/bun"), join(folder, name, "bin/bun.exe")]);
}

/** npm may refuse to run the package's install script, and it is not needed: the program comes in a package of its own. */
async function fetchBun(version) {
  console.error(`fetching Bun ${version} …`);
  const folder = home(version);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), '{ "private": true }\n');
  const args = ["install", `bun@${version}`, "--ignore-scripts", "--no-save", "--no-package-lock", "--no-audit", "--no-fund"];
  const npm = process.env.npm_execpath;
  const byNpm = npm && /npm-cli\.[cm]?js$/.test(npm);
  const code = byNpm
    ? await run(process.execPath, [npm, ...args, "--include=optional"], { cwd: folder, stdout: 2 })
    : await run("npm", [...args, "--include=optional"], { cwd: folder, stdout: 2, shell: process.platform === "win32" });
  stopIfTold();
  const bun = code === 0 ? fetched(version).find((file) => isBun(file, version)) : undefined;
  if (!bun) fail(`Bun ${version} could not be fetched with npm: install it by hand (https://bun.sh) and try again`);
  return bun;
}
