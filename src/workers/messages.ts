/**
 * What main thread, worker threads and isolated processes say to each other. Messages travel as JSON text: a batch of
 * jobs crosses several times faster than as cloned objects.
 */
import type { LogLevel, TaskPolicy } from "../domain/definition.ts";
import type { InputProblem } from "../domain/errors.ts";
import type { Job, LogLine, Outcome, ProgressReport } from "../ports/broker.ts";

/** Why a running task is asked to stop. */
export type StopReason = "cancelled" | "timeout" | "interrupted";

export interface SlotJob {
  readonly slot: number;
  readonly job: Job;
}

/** A job in a thread's hands, as far as its supervisor needs it. */
export type HeldJob = Pick<Job, "id" | "fence" | "name" | "owner" | "attempt">;

/** A thread that claims by itself has taken a job into a slot. */
export interface TookJob extends HeldJob {
  readonly slot: number;
  /** Of the slot; see SlotTable. */
  readonly turn: number;
}

/** How a thread reaches the broker by itself. */
export interface OwnBroker {
  /** With its password. */
  readonly url: string;
  readonly namespace: string;
  /** The name under which the process holds leases. */
  readonly worker: string;
  /** The queues that it serves; undefined: all. */
  readonly queues: readonly string[] | undefined;
}

/** Where a definition's code lies: built in, or in a file. */
export interface Source {
  readonly policy: TaskPolicy;
  /** Absolute path; undefined: built in. */
  readonly file?: string | undefined;
  /** What the policy's JSON Schemas do not say. */
  readonly gaps?: readonly Gap[];
}

/** What a JSON Schema does not say of a schema that is code, in one line that begins with the place. */
export interface Gap {
  readonly text: string;
  /** It says nothing at all. */
  readonly nothing: boolean;
}

/** What a thread is started with; only this message is cloned, for its shared memory. */
export interface ThreadInit {
  /** How many jobs it can hold. */
  readonly slots: number;
  /** How many of them run at the same time; the others wait, and can be taken back. */
  readonly atOnce: number;
  readonly table: SharedArrayBuffer;
  readonly sources: readonly Source[];
  readonly allowPrivateHosts: boolean;
  /** Where it leaves word of what it runs, for the case that the process dies of it; see Flight. */
  readonly flight?: string | undefined;
  /** Undefined: jobs come from the supervisor, and outcomes go to it. */
  readonly ownBroker?: OwnBroker | undefined;
}

export type ToThread =
  | { readonly kind: "run"; readonly jobs: readonly SlotJob[] }
  | { readonly kind: "stop"; readonly slot: number; readonly id: string; readonly fence: number; readonly reason: StopReason }
  /** To a thread that claims by itself: there may be work. */
  | { readonly kind: "work" }
  /** It is to claim no more, and to say when that is so. */
  | { readonly kind: "quiet" };

export interface TaskLines {
  readonly id: string;
  readonly fence: number;
  readonly log: readonly LogLine[];
}

export type FromThread =
  | { readonly kind: "ready" }
  | {
      readonly kind: "report";
      readonly ended: readonly { readonly slot: number; readonly outcome: Outcome }[];
      /** Slots whose job was taken back before it began. */
      readonly freed: readonly number[];
      readonly progress: readonly ProgressReport[];
      readonly log: readonly TaskLines[];
      /** Bytes in this thread's JavaScript heap. */
      readonly heapBytes: number;
    }
  /** From a thread that claims by itself: what it has taken, and which slots are free again once the broker knows the outcome. */
  | { readonly kind: "took"; readonly at: number; readonly jobs: readonly TookJob[] }
  | { readonly kind: "free"; readonly slots: readonly number[]; readonly ended: number; readonly heapBytes: number }
  | { readonly kind: "quiet" }
  /** Something printed outside any task. */
  | { readonly kind: "line"; readonly level: LogLevel; readonly message: string };

/** What an input is checked by: the code of a task's file (its absolute path), or a JSON Schema, as text. */
export type Measure = { readonly file: string } | { readonly schema: string };

export interface InputCheck {
  readonly id: number;
  readonly by: Measure;
  readonly input: unknown;
}

export interface InputVerdict {
  readonly id: number;
  /** None: the input is fine. */
  readonly problems?: readonly InputProblem[] | undefined;
  /** The input with the JSON Schema's defaults filled in, as JSON text; undefined: there are none to fill in. */
  readonly filled?: string | undefined;
  /** Why there is no verdict; `late`: it took too long. */
  readonly failed?: string;
  readonly late?: boolean;
  /** It kept the thread from everything else for long. */
  readonly slow?: boolean;
}

export type ToLoader =
  | { readonly kind: "load"; readonly file: string }
  /** `checks` as JSON text. */
  | { readonly kind: "check"; readonly checks: string };

export type FromLoader =
  | { readonly kind: "ready" }
  | {
      readonly kind: "loaded";
      readonly file: string;
      readonly policy: TaskPolicy;
      readonly gaps: readonly Gap[];
      /** The place of the call of `task`, as `resize.ts:3:13`. */
      readonly place: string;
    }
  | { readonly kind: "broken"; readonly file: string; readonly reason: string }
  /** Before the first check by a file's code, or by a JSON Schema: there the file is "". */
  | { readonly kind: "imported"; readonly file: string }
  | { readonly kind: "checked"; readonly verdicts: readonly InputVerdict[] };
