import { setDefaultTimeout } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

// Tests wait on signals, so a limit only ends what hangs; on a busy machine with two cores five seconds are too few.
setDefaultTimeout(30_000);

// Plain `bun test` works in a fresh clone too. This process has already noted that there are no packages, so another one runs.
const root = join(import.meta.dir, "../..");
if (!existsSync(join(root, "node_modules"))) {
  const stdio: ["inherit", "inherit", "inherit"] = ["inherit", "inherit", "inherit"];
  const install = Bun.spawnSync([process.execPath, "install", "--frozen-lockfile"], { cwd: root, stdio });
  if (install.exitCode !== 0) process.exit(1);
  process.exit(Bun.spawnSync([process.execPath, ...ownArguments()], { stdio }).exitCode ?? 1);
}

/** What this process was started with; Bun does not tell, and where the system does not either, all tests run. */
function ownArguments(): string[] {
  const file = "/proc/self/cmdline";
  return existsSync(file) ? readFileSync(file, "utf8").split("\0").slice(1, -1) : ["test"];
}
