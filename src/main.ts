/** The program: begins, has the command run that it is called with, and is the only place that ends the process. */
import { keepFreedMemory } from "./cli/allocator.ts";

/** A compiled executable is its own program; run from the sources, Bun needs to be told this file. */
const compiled = import.meta.url.startsWith("file:///$bunfs/") || import.meta.url.startsWith("file:///B:/~BUN/");
const exit = process.exit.bind(process);
const args = process.argv.slice(2);

if (compiled) keepFreedMemory(process.execPath, args, process.env);
// What stands above is loaded twice where the process begins anew.
const { Program } = await import("./cli/program.ts");

const program = new Program({
  self: compiled ? [process.execPath] : [process.execPath, import.meta.path],
  // scripts/build.ts puts it into the executable, where places are relative to this file alone.
  threadEntry: new URL("./workers/thread.ts", import.meta.url),
  // Nothing may hold it up: an orderly exit would wait for the task's thread.
  kill: () => process.kill(process.pid, "SIGKILL"),
});
process.on("uncaughtException", (error) => exit(program.failed(error)));
process.on("unhandledRejection", (error) => exit(program.failed(error)));
exit(await program.run(args));
