/** What the system says of a process that runs; see `hasProc`. */
import { readFileSync } from "node:fs";

/** Resident memory of a process, in bytes. */
export const residentOf = (pid: number): number =>
  1_024 * Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);

/** How many files a process may have open: at once, and at most if it asks for it. */
export function fileLimits(pid: number | "self"): [soft: number, hard: number] {
  const found = /Max open files\s+(\S+)\s+(\S+)/.exec(readFileSync(`/proc/${pid}/limits`, "utf8"));
  const read = (text = ""): number => (text === "unlimited" ? Number.POSITIVE_INFINITY : Number(text));
  return [read(found?.[1]), read(found?.[2])];
}

/** How much a process has read from files, in bytes. */
export const readBy = (pid: number): number => Number(/^rchar: (\d+)/m.exec(readFileSync(`/proc/${pid}/io`, "utf8"))?.[1]);

/** Processor time that a process has had, in clock ticks. */
export function ticksOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const [user, system] = stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .slice(11);
  return Number(user) + Number(system);
}
