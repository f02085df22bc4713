/**
 * The broker carries: jobs to workers, outcomes back, progress past both. It decides nothing; whatever it
 * forgets is fed again from the rows. Every driver passes test/contracts/broker.ts.
 */
import type { LogLevel } from "../domain/definition.ts";
import type { TaskLimits } from "../domain/limits.ts";
import type { Priority, TaskFailure } from "../domain/task.ts";

/** A task's message on its way to a worker. */
export interface Job {
  readonly id: string;
  /** The dispatch that sent it; outcomes carry it back. */
  readonly fence: number;
  readonly name: string;
  readonly queue: string;
  readonly priority: Priority;
  /** The owner's id; owners of one queue take turns. */
  readonly owner: string;
  readonly attempt: number;
  readonly maxAttempts: number;
  /** Suspected of killing its process: only `claim({ alone: true })` gets it. */
  readonly alone: boolean;
  /** The input as JSON text without line breaks; only the worker parses it. */
  readonly args: string;
}

/** Names one dispatch of one task. */
export interface JobRef {
  readonly id: string;
  readonly fence: number;
}

/** A line of a task's log; `at` in milliseconds since 1970 UTC. */
export interface LogLine {
  readonly at: number;
  readonly level: LogLevel;
  readonly message: string;
}

/** How one dispatch ended, as the worker that held its lease says. */
export type Outcome = JobRef & {
  readonly at: number;
  /** Lines that were not sent before. */
  readonly log?: readonly LogLine[];
  /** Progress that was not sent before. */
  readonly last?: Pick<ProgressReport, "progress" | "message">;
} & (
    | { readonly kind: "done" /** JSON text */; readonly result: string }
    /** `retryInMs` null: no other attempt may follow. */
    | { readonly kind: "failed"; readonly error: TaskFailure; readonly retryInMs: number | null }
    | { readonly kind: "cancelled" }
    /** Given back unfinished, at no cost. */
    | { readonly kind: "released" }
    /** Its process died while it ran there, or an error came up there that could be anybody's: it runs alone from now on. */
    | { readonly kind: "suspected" }
  );

/** What the recorder reads: the events of one dispatch in their order; those of different ones as it suits the broker. */
export type BrokerEvent =
  | Outcome
  | (JobRef & { readonly kind: "started"; readonly at: number; readonly worker: string })
  /** The lease ran out: its worker has not been heard of. */
  | (JobRef & { readonly kind: "lost"; readonly at: number })
  | (JobRef & { readonly kind: "log"; readonly log: readonly LogLine[] });

/** A place in one life of the broker's event stream. */
export interface Offset {
  /** Another epoch is another stream: it is read from its beginning. */
  readonly epoch: string;
  readonly id: string;
}

export interface EventPage {
  readonly events: readonly BrokerEvent[];
  /** Behind the last of `events`; where nothing was read, where the reading began. */
  readonly offset: Offset;
  /** More can be read at once. */
  readonly more: boolean;
}

/** Progress on its way to sockets: the latest only, never stored in the stream. */
export interface ProgressReport extends JobRef {
  readonly progress: number | null;
  readonly message: string | null;
  readonly at: number;
}

export interface ClaimRequest {
  /** The worker that will hold the leases, unique in the whole installation. */
  readonly worker: string;
  /** At most so many. */
  readonly max: number;
  /** The tasks that the worker can run; work unknown to it stays for others. */
  readonly tasks: readonly string[];
  /** The queues that it serves; undefined: all. */
  readonly queues?: readonly string[] | undefined;
  /** Only suspects, or only the rest. */
  readonly alone: boolean;
}

/** What keeps jobs back in their lanes. */
export interface Restraints {
  readonly limits: readonly (TaskLimits & { readonly name: string })[];
  readonly pausedTasks: readonly string[];
  readonly pausedQueues: readonly string[];
}

/** How far a task that has limits is at them, as claims see it. */
export interface LimitUse {
  readonly name: string;
  /** Jobs of it in workers' hands; 0 where its number counts for nothing. */
  readonly running: number;
  /** The same by owner, without those who have none. */
  readonly byOwner: ReadonlyMap<string, number>;
  /** After so many milliseconds its rate lets another one begin; 0: now. */
  readonly tokenInMs: number;
  /** What runs is not known since the broker has lost its data: for so many milliseconds none begins. 0: it is. */
  readonly countedInMs: number;
}

/** A job in a worker's hands, as it says; where the name or the owner is left out, limits do not count it after a wipe. */
export type HeldJob = JobRef & Partial<Pick<Job, "name" | "owner">>;

export interface HeartbeatAnswer {
  /** Held jobs whose owner asked for them to stop. */
  readonly cancelled: readonly string[];
  /** Held jobs whose lease is gone: somebody else may run them, their outcome will not count. */
  readonly lost: readonly JobRef[];
}

/** How many jobs have come: any worker's, and suspects'. */
export interface NewWork {
  readonly shared: number;
  readonly alone: number;
}

/** Nobody knows how much. */
export const UNKNOWN_WORK: NewWork = { shared: Number.POSITIVE_INFINITY, alone: Number.POSITIVE_INFINITY };

export function newWork(jobs: readonly Pick<Job, "alone">[]): NewWork {
  const alone = jobs.reduce((count, job) => count + (job.alone ? 1 : 0), 0);
  return { shared: jobs.length - alone, alone };
}

/** What a worker process says of itself. */
export interface WorkerInfo {
  readonly host: string;
  readonly pid: number;
  readonly version: string;
  readonly threads: number;
  /** Tasks that each thread runs at the same time. */
  readonly slots: number;
  /** Undefined: all of them. */
  readonly queues?: readonly string[] | undefined;
  readonly tasks: readonly string[];
  /** Milliseconds since 1970 UTC. */
  readonly startedAt: number;
}

export interface WorkerView extends WorkerInfo {
  readonly id: string;
  /** Its last heartbeat, milliseconds since 1970 UTC. */
  readonly seenAt: number;
  /** Jobs in its hands. */
  readonly running: number;
}

/** Whether an outcome was taken. A lost lease is an answer, not an error. */
export type SettleResult = "taken" | "lease lost";

export type Unsubscribe = () => void;

/** The side of the API node: feeds jobs, reads events. */
export interface BrokerHub {
  readonly kind: "embedded" | "redis";
  /**
   * Appends jobs to their lanes, in order. A job that is known at this fence or a later one is left as it is; what the broker
   * cannot take now is missing later (see `missing`).
   */
  enqueue(jobs: readonly Job[]): Promise<void>;
  /**
   * From now on, and for every worker, claims heed these, the whole of them each time. What runs already goes on, and counts. What
   * cannot be told now the broker hears when it can be reached.
   */
  restrain(restraints: Restraints): Promise<void>;
  /**
   * What the limits that were told keep back now; for those who ask why something waits. Tasks without limits are left out.
   *
   * @param owner whose jobs alone are to be in `byOwner`; undefined: everybody's
   */
  limitUse(names: readonly string[], owner?: string): Promise<readonly LimitUse[]>;
  /** Takes queued jobs out and tells the holders of running ones. Unknown ids are ignored. */
  cancel(ids: readonly string[]): Promise<void>;
  /** Which of these dispatches the broker does not hold: neither queued, nor leased, nor settled and unrecorded. */
  missing(refs: readonly JobRef[]): Promise<readonly JobRef[]>;
  /**
   * Reads events behind `from`; null or an offset of another epoch reads from the beginning. Starts may be kept back for a moment,
   * to be told of together with their outcomes, and of what has just come there may be a call (`onEvents`) instead; with `toTheEnd`
   * nothing is kept back.
   */
  events(from: Offset | null, limit: number, toTheEnd?: boolean): Promise<EventPage>;
  /** All events up to `offset` are stored: they may go, and so may the jobs that they ended. */
  acknowledge(offset: Offset): Promise<void>;
  /** Gives up the leases whose worker has been silent for longer than the lease: one `lost` event each. @returns how many */
  reap(): Promise<number>;
  onEvents(listener: () => void): Unsubscribe;
  onProgress(listener: (reports: readonly ProgressReport[]) => void): Unsubscribe;
  /** Calls when the broker can be reached (again), or has lost what it held: what was sent may be missing. */
  onReady(listener: () => void): Unsubscribe;
  /** Why the broker cannot be used now, for whoever runs the service; undefined: it can. */
  trouble(): string | undefined;
  /** The worker processes that are known to live. */
  workers(): Promise<readonly WorkerView[]>;
}

/** The side of the workers. */
export interface BrokerWorker {
  /** Takes jobs under a lease, in one atomic step with their `started` events: owners in turn, higher priorities first. */
  claim(request: ClaimRequest): Promise<readonly Job[]>;
  /** Ends leases: the outcome becomes an event iff `worker` still holds that dispatch. */
  settle(worker: string, outcomes: readonly Outcome[]): Promise<readonly SettleResult[]>;
  /** Renews the worker's leases, with what it says of itself; names what it should stop. */
  heartbeat(worker: string, held: readonly HeldJob[], info?: WorkerInfo): Promise<HeartbeatAnswer>;
  /** The worker ends, and nothing runs there any more: what it still holds is given back, at no cost. */
  leave(worker: string): Promise<void>;
  /** Lines of a running task's log. */
  log(lines: readonly (JobRef & { readonly log: readonly LogLine[] })[]): Promise<void>;
  report(reports: readonly ProgressReport[]): void;
  /** Calls when there may be something to claim: work has come, or what kept it back (a limit, a pause, a rate) lets it through. */
  onWork(listener: (work: NewWork) => void): Unsubscribe;
  /** Calls with ids of running jobs that should stop at once. */
  onCancel(listener: (ids: readonly string[]) => void): Unsubscribe;
}

export interface Broker extends BrokerHub, BrokerWorker {
  stop(): Promise<void>;
}

/**
 * A page of events ends where their results have so many characters: what is told of them at once must not fill the buffers
 * of sockets that read as fast as they can.
 */
export const PAGE_RESULT_CHARS = 256 * 1024;

/** What an event adds to that. */
export const resultChars = (event: BrokerEvent): number => (event.kind === "done" ? event.result.length : 0);

/** A silent worker loses its leases after this long. */
export const LEASE_MS = 15_000;
/** How often a worker says that it lives. */
export const HEARTBEAT_MS = 3_000;
