/** Jobs as Redis holds them: where a job waits says most of it, and its message the rest. */

import type { Priority } from "../../domain/task.ts";
import type { Job } from "../../ports/broker.ts";
import { SEPARATOR } from "./keys.ts";

/** What a job's place does not say: "ATTEMPT MAX_ATTEMPTS ARGS", on one line. */
export const messageOf = ({ attempt, maxAttempts, args }: Job): string => `${attempt} ${maxAttempts} ${args}`;

/** What all jobs of a lane have in common. */
type LanePart = Pick<Job, "alone" | "priority" | "queue" | "name" | "owner">;

/** @param texts id and entry ("FENCE q LANE\nMESSAGE") in turn */
export function jobsOf(texts: readonly string[]): Job[] {
  const jobs: Job[] = [];
  const lanes = new Map<string, LanePart>();
  for (let i = 0; i + 1 < texts.length; i += 2) {
    const entry = texts[i + 1] as string;
    const afterFence = entry.indexOf(" ");
    const afterLane = entry.indexOf("\n");
    const lane = entry.slice(afterFence + " q ".length, afterLane);
    const common = lanes.get(lane) ?? laneOf(lane);
    lanes.set(lane, common);
    const afterAttempt = entry.indexOf(" ", afterLane);
    const afterMax = entry.indexOf(" ", afterAttempt + 1);
    jobs.push({
      id: texts[i] as string,
      fence: Number(entry.slice(0, afterFence)),
      ...common,
      attempt: Number(entry.slice(afterLane + 1, afterAttempt)),
      maxAttempts: Number(entry.slice(afterAttempt + 1, afterMax)),
      args: entry.slice(afterMax + 1),
    });
  }
  return jobs;
}

function laneOf(lane: string): LanePart {
  const [kind, priority, queue = "", name = "", owner = ""] = lane.split(SEPARATOR);
  return { alone: kind === "a", priority: priority as Priority, queue, name, owner };
}
