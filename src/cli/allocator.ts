import { dlopen, ptr } from "bun:ffi";

/** By default the allocator gives freed pages back to the system within milliseconds and asks for them again. */
const VARIABLE = "MIMALLOC_PURGE_DELAY";
const KEEP = "-1";
/** The C library: glibc, musl, macOS. */
const LIBRARIES = ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1", "libSystem.B.dylib"];

/**
 * Has a process that runs for long keep the memory that it has freed, for its own use: on a busy server, giving it back and
 * getting it again costs as much as all the work. The allocator reads its settings as the process begins, so the program begins
 * once more in the same process (same id, same files), which takes 25 ms. Where that cannot be, it goes on as it is.
 *
 * @param program the executable
 * @param args its arguments, without its own name
 */
export function keepFreedMemory(program: string, args: readonly string[], environment: Readonly<NodeJS.ProcessEnv>): void {
  // The user's own setting stands; ours says that this has been done.
  if (environment[VARIABLE] !== undefined || process.platform === "win32") return;
  const settings = Object.entries({ ...environment, [VARIABLE]: KEEP }).map(([name, value]) => `${name}=${value}`);
  for (const library of LIBRARIES) {
    try {
      const { execve } = dlopen(library, { execve: { args: ["ptr", "ptr", "ptr"], returns: "i32" } }).symbols;
      // Comes back only if it could not be done.
      execve(ptr(cText(program)), ptr(cTexts([process.argv0, ...args])), ptr(cTexts(settings)));
      return;
    } catch {
      // Another system's.
    }
  }
}

const cText = (text: string): Buffer => Buffer.from(`${text}\0`);

/** What `cTexts` points to must live until the call. */
const alive: Buffer[] = [];

/** A list of texts as C takes it: addresses, then none. */
function cTexts(texts: readonly string[]): BigUint64Array {
  const buffers = texts.map(cText);
  alive.push(...buffers);
  return BigUint64Array.from([...buffers.map((buffer) => BigInt(ptr(buffer))), 0n]);
}
