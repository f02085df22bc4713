import { dispatch, type Priority, type Task } from "../../src/domain/task.ts";
import type { Lane } from "../../src/ports/tasks.ts";
import type { Window, WindowLimits } from "../../src/services/window.ts";

export const LIMITS: WindowLimits = { lane: 4, total: 10, bytes: 10_000 };
export const lane = (owner: number, name = "job", priority: Priority = "normal"): Lane => ({
  queue: "default",
  name,
  priority,
  owner,
});

let made = 0;
export function queued(owner: number, of: Partial<Task> = {}): Task {
  made += 1;
  const spec = {
    ...lane(owner),
    id: `task-${made}`,
    status: "queued" as const,
    attempt: 1,
    maxAttempts: 1,
    fence: 0,
    dispatched: false,
    deaths: 0,
  };
  const rest = {
    cancelRequested: false,
    progress: null,
    message: null,
    error: null,
    createdAt: 0,
    runAt: 0,
    startedAt: null,
    finishedAt: null,
  };
  return { ...spec, ...rest, ...of };
}

/** A task comes in as the service does it: inside if there is room, else outside. */
export function enter(window: Window, task: Task): Task {
  const placed = window.admits(task) ? dispatch(task) : task;
  window.moved(null, placed);
  return placed;
}
