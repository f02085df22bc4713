/** The allocator's settings: after how many milliseconds it gives freed pages back to the system. */
export const ALLOCATOR = { MIMALLOC_PURGE_DELAY: "10000" } as const;
/** The commands that run until they are told to end. */
const LASTING: readonly (string | undefined)[] = ["serve", "work"];

export const lasts = (command: string | undefined): boolean => LASTING.includes(command);

/**
 * Has a process that runs for long keep the memory that it has freed for a while: by default the allocator gives it back within
 * milliseconds, and a busy server gets it again at once, page by page. After a load it goes back within seconds. The allocator
 * reads its settings as the process begins, so the program begins once more in the same process (same id, same files), which
 * takes 6 ms. Where that cannot be, it goes on as it is.
 *
 * @param program the executable
 * @param args its arguments, without its own name
 */
export function keepFreedMemory(program: string, args: readonly string[], environment: NodeJS.ProcessEnv): void {
  // The user's own setting stands; ours says that this has been done.
  if (!lasts(args[0]) || environment["MIMALLOC_PURGE_DELAY"] !== undefined || process.platform === "win32") return;
  try {
    // Comes back only if it could not be done.
    process.execve?.(program, [process.argv0, ...args], { ...environment, ...ALLOCATOR });
  } catch {
    // Slower, but it serves.
  }
}
