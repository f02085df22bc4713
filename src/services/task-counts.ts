import { isTerminal, type Status, type Task } from "../domain/task.ts";
import type { TaskStore } from "../ports/tasks.ts";

/** Counts what happened to tasks since the process started; for metrics. */
export class TaskCounts {
  accepted = 0;
  readonly ended = new Map<Status, number>();
  inProgress = 0;

  /** Counts what the last process left; before anything changes. */
  load(store: TaskStore): void {
    this.inProgress = store.countInProgress();
  }

  /** Follows a stored change; with the two exchanged it takes the change back. */
  moved(before: Task | null, after: Task | null): void {
    if (before === null) this.accepted += 1;
    if (after === null) this.accepted -= 1;
    this.#count(before, -1);
    this.#count(after, 1);
  }

  #count(task: Task | null, by: 1 | -1): void {
    if (task?.status === "in progress") this.inProgress += by;
    if (task && isTerminal(task.status)) this.ended.set(task.status, (this.ended.get(task.status) ?? 0) + by);
  }
}
