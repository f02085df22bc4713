import { setDefaultTimeout } from "bun:test";

// Tests wait on signals, so a limit only ends what hangs; on a busy machine with two cores five seconds are too few.
setDefaultTimeout(30_000);
