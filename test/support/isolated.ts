/** Entry of the processes in which tests run suspected tasks. */
import { runIsolated } from "../../src/workers/isolate.ts";

const exit = process.exit.bind(process);
runIsolated(() => exit(0));
