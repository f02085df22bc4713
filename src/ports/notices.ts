import type { StoredTask } from "./tasks.ts";
import type { StoredWorkflow } from "./workflows.ts";

/** Whoever tells users what became of their tasks and workflows. Called after the commit, in seq order; must not throw. */
export interface Notifier {
  /** A stored transition; `result` is JSON text once done. */
  transition(task: StoredTask, result: string | null, at: number): void;
  /** Progress in between, of a task in progress; it has no seq of its own. */
  progress(task: StoredTask, at: number): void;
  /** A workflow's members have come further, under its new seq. */
  workflow(workflow: StoredWorkflow, at: number): void;
}
