/** `npm start [-- FLAGS]`: brings Bun, installs, builds the executable if it is older than the sources, serves. */
import { join } from "node:path";
import { fail, prepare, ROOT, run, stopIfTold } from "./runtime.mjs";

const bun = await prepare();
const built = await run(bun, ["scripts/build.ts", "--if-stale"], { stdout: 2 });
stopIfTold();
if (built !== 0) fail("the executable could not be built (see above)");
const program = join(ROOT, "dist", process.platform === "win32" ? "artel.exe" : "artel");
process.exitCode = await run(program, ["serve", ...process.argv.slice(2)], { cwd: process.cwd() });
