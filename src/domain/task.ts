/**
 * A task's life, as pure functions: one a transition, and nothing else assigns a status.
 *
 *   scheduled ─► queued ─► in progress ─► done | failed | cancelled
 *                  ▲           │  ▲
 *                  └─ retrying ◄┘  (released or lost: back to queued)
 *
 * A task that waits for others of its workflow is held: scheduled, for a time that never comes.
 *
 * Times are milliseconds since 1970 UTC. `seq` is given by the recorder when a transition is stored.
 */
export const STATUSES = ["scheduled", "queued", "in progress", "retrying", "done", "failed", "cancelled"] as const;
export type Status = (typeof STATUSES)[number];

export const PRIORITIES = ["low", "normal", "high"] as const;
export type Priority = (typeof PRIORITIES)[number];

/** Why a task or an attempt failed, as its owner is told. */
export interface TaskFailure {
  readonly code: string;
  readonly message: string;
}

/** One task without its args and result, which can be large and never decide anything. */
export interface Task {
  readonly id: string;
  /** The owner's integer key. */
  readonly owner: number;
  readonly name: string;
  readonly queue: string;
  readonly priority: Priority;
  readonly status: Status;
  readonly attempt: number;
  readonly maxAttempts: number;
  /** Counts dispatches; only an outcome that carries this number counts. */
  readonly fence: number;
  /** The broker is supposed to hold the job at this fence. */
  readonly dispatched: boolean;
  /** Processes that died while this task had started in them; above 0 it runs alone in a process of its own. */
  readonly deaths: number;
  readonly cancelRequested: boolean;
  /** 0 to 1; null until reported. */
  readonly progress: number | null;
  readonly message: string | null;
  readonly error: TaskFailure | null;
  readonly createdAt: number;
  /** Not run before this. */
  readonly runAt: number;
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
}

/** After this many deaths of the processes it ran in, a task is failed as `poison`. */
export const POISON_DEATHS = 3;

/** Of a task that waits for others: later than any task comes due, for it is the last moment that a date can name. */
export const NEVER = 8_640_000_000_000_000;

export const isTerminal = (status: Status): boolean => status === "done" || status === "failed" || status === "cancelled";

/** Whether it waits for other tasks of its workflow. */
export const isHeld = (task: Task): boolean => task.status === "scheduled" && task.runAt === NEVER;

/** Whether an outcome of dispatch `fence` still decides this task. */
export const accepts = (task: Task, fence: number): boolean =>
  !isTerminal(task.status) && task.dispatched && task.fence === fence;

export interface NewTask {
  readonly id: string;
  readonly owner: number;
  readonly name: string;
  readonly queue: string;
  readonly priority: Priority;
  readonly maxAttempts: number;
  readonly delayMs: number;
}

/** A caller's submission becomes a task: queued, or scheduled when it is to wait. */
export function accept(spec: NewTask, now: number): Task {
  return {
    id: spec.id,
    owner: spec.owner,
    name: spec.name,
    queue: spec.queue,
    priority: spec.priority,
    status: spec.delayMs > 0 ? "scheduled" : "queued",
    attempt: 1,
    maxAttempts: spec.maxAttempts,
    fence: 0,
    dispatched: false,
    deaths: 0,
    cancelRequested: false,
    progress: null,
    message: null,
    error: null,
    createdAt: now,
    runAt: now + spec.delayMs,
    startedAt: null,
    finishedAt: null,
  };
}

/** It waits for other tasks of its workflow, however long they take. */
export function hold<T extends Task>(task: T): T {
  return { ...task, status: "scheduled", runAt: NEVER };
}

/** The tasks that it waited for are done: it queues, or is scheduled when it is to wait for `delayMs` more. */
export function letGo<T extends Task>(task: T, now: number, delayMs: number): T {
  return { ...task, status: delayMs > 0 ? "scheduled" : "queued", runAt: now + delayMs };
}

/** A task that it waited for failed or was cancelled, which `why` names: it is not run. */
export function abandon<T extends Task>(task: T, at: number, why: string): T {
  return end(task, "cancelled", at, { code: "cancelled", message: why }, task.progress);
}

/** Its time has come: a scheduled task queues for its first attempt, a retrying one for its next. */
export function comeDue<T extends Task>(task: T): T {
  return { ...task, status: "queued", attempt: task.status === "retrying" ? task.attempt + 1 : task.attempt, error: null };
}

/** It enters the broker's window, under a new fence. No transition that a user sees. */
export function dispatch<T extends Task>(task: T): T {
  return { ...task, fence: task.fence + 1, dispatched: true };
}

/** A worker took it up. */
export function start<T extends Task>(task: T, at: number): T {
  return { ...task, status: "in progress", startedAt: at, finishedAt: null, progress: null, message: null };
}

/** Its run returned. */
export function complete<T extends Task>(task: T, at: number): T {
  return end(task, "done", at, null, 1);
}

/** Its last attempt failed, or one that allows no other. */
export function fail<T extends Task>(task: T, at: number, error: TaskFailure): T {
  return end(task, "failed", at, error, task.progress);
}

/** Its owner's wish: before it ran, while it waited, or as the run stopped. */
export function cancel<T extends Task>(task: T, at: number): T {
  return end(requestCancel(task), "cancelled", at, { code: "cancelled", message: "cancelled on request" }, task.progress);
}

/** Its owner's wish while it runs: noted, and the worker is told. */
export function requestCancel<T extends Task>(task: T): T {
  return { ...task, cancelRequested: true };
}

/** An attempt failed and another one follows after a wait; a cancelled task gets none. */
export function retryLater<T extends Task>(task: T, at: number, error: TaskFailure, delayMs: number): T {
  if (task.cancelRequested) return cancel(task, at);
  return { ...task, status: "retrying", dispatched: false, error, runAt: at + delayMs, progress: null, message: null };
}

/** An attempt failed: another one if any is left and the failure allows it (`retryInMs` is not null), else the end. */
export function failAttempt<T extends Task>(task: T, at: number, error: TaskFailure, retryInMs: number | null): T {
  if (task.cancelRequested) return cancel(task, at);
  return retryInMs !== null && task.attempt < task.maxAttempts ? retryLater(task, at, error, retryInMs) : fail(task, at, error);
}

/** The worker gave it back unfinished (drain, recycling, a neighbour's timeout): it queues again at no cost. */
export function release<T extends Task>(task: T, at: number): T {
  return task.cancelRequested ? cancel(task, at) : requeue(task);
}

/** Its worker is gone without a word, but nothing says that the task was to blame: it queues again at no cost. */
export function lose<T extends Task>(task: T, at: number): T {
  return release(task, at);
}

/**
 * Nothing is heard any more of the process that it ran in. It may have died of the task, unless that is a suspect already:
 * a suspect has a process of its own, whose death is noticed beside it, and whoever kills its supervisor again and again must
 * not condemn it.
 */
export function orphan<T extends Task>(task: T, at: number): T {
  return task.deaths === 0 ? suspect(task, at) : lose(task, at);
}

/** The process that it ran in died: it queues again, to run alone, and is poison the third time. */
export function suspect<T extends Task>(task: T, at: number): T {
  const suspected = { ...task, deaths: task.deaths + 1 };
  if (task.cancelRequested) return cancel(suspected, at);
  if (suspected.deaths < POISON_DEATHS) return requeue(suspected);
  return fail(suspected, at, { code: "poison", message: `the process running this task died ${POISON_DEATHS} times` });
}

/** Its owner asks for it once more after it failed or was cancelled: a new life with the same id. */
export function retryByOwner<T extends Task>(task: T, now: number): T {
  return {
    ...task,
    status: "queued",
    attempt: 1,
    deaths: 0,
    cancelRequested: false,
    dispatched: false,
    progress: null,
    message: null,
    error: null,
    runAt: now,
    startedAt: null,
    finishedAt: null,
  };
}

/** Progress of a running attempt; no transition, so no new seq. */
export function report<T extends Task>(task: T, progress: number | null, message: string | null): T {
  return { ...task, progress, message };
}

function requeue<T extends Task>(task: T): T {
  return { ...task, status: "queued", dispatched: false, progress: null, message: null, startedAt: null };
}

function end<T extends Task>(task: T, status: Status, at: number, error: TaskFailure | null, progress: number | null): T {
  return { ...task, status, dispatched: false, error, progress, finishedAt: at };
}
