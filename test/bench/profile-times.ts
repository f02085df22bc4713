/** What a .cpuprofile says of self time. */
import { relative } from "node:path";
import { fileURLToPath } from "node:url";

export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  /** The node that ran at each sample. */
  readonly samples: readonly number[];
  /** Before each sample, in microseconds. */
  readonly timeDeltas: readonly number[];
}

export interface SelfTime {
  readonly what: string;
  /** File and line, from the root; empty for what is part of the runtime. */
  readonly where: string;
  readonly ms: number;
}

const IDLE = /^\((idle|program|root)\)$/;

/**
 * How long each function ran by itself, the longest first; idle time left out. While a thread waits there are no samples, and the
 * next one's delta holds the wait too: no sample counts for more than twice what lies between two as a rule.
 */
export function selfTimes(profile: CpuProfile, root: string): SelfTime[] {
  const usual = [...profile.timeDeltas].sort((a, b) => a - b)[Math.floor(profile.timeDeltas.length / 2)] ?? 0;
  const byNode = new Map<number, number>();
  for (const [i, node] of profile.samples.entries()) {
    byNode.set(node, (byNode.get(node) ?? 0) + Math.min(profile.timeDeltas[i] ?? 0, 2 * usual) / 1_000);
  }
  const found = new Map<string, SelfTime>();
  for (const { id, callFrame } of profile.nodes) {
    const { functionName: what, url, lineNumber } = callFrame;
    const ms = byNode.get(id) ?? 0;
    if (ms === 0 || IDLE.test(what)) continue;
    const where = url === "" ? "" : `${placeOf(url, root)}:${lineNumber + 1}`;
    const key = `${what}\n${where}`;
    found.set(key, { what: what || "(anonymous)", where, ms: ms + (found.get(key)?.ms ?? 0) });
  }
  return [...found.values()].sort((a, b) => b.ms - a.ms);
}

/** All that was not idle. */
export const totalMs = (profile: CpuProfile): number => selfTimes(profile, "").reduce((sum, { ms }) => sum + ms, 0);

function placeOf(url: string, root: string): string {
  if (!url.startsWith("file:") && !url.startsWith("/")) return url;
  const file = url.startsWith("file:") ? fileURLToPath(url) : url;
  return root === "" ? file : relative(root, file);
}
