/**
 * What a task is: its name, its input and how it runs. A definition is written once with `task({...})`
 * and is used on both sides: the API validates by `input`, a worker thread calls `run`.
 */

import type { TaskLimits } from "./limits.ts";
import type { Schedule } from "./schedule.ts";
import type { StandardSchema } from "./standard-schema.ts";
import type { Unique } from "./unique.ts";

/** A JSON Schema (draft-07 or 2020-12) as plain data. */
export type JsonSchema = { readonly [keyword: string]: unknown };

/** When a failed attempt is tried again: exponential backoff with full jitter. */
export interface RetryPolicy {
  /** Attempts in all, the first included; 1 never retries. */
  readonly maxAttempts: number;
  /** Upper bound of the first wait, in milliseconds; doubles with each attempt. */
  readonly backoffMs: number;
  /** No wait is longer than this, in milliseconds. */
  readonly maxBackoffMs: number;
}

/** The part of a definition that is plain data and may cross threads. */
export interface TaskPolicy extends TaskLimits {
  readonly name: string;
  readonly description: string;
  readonly queue: string;
  /** Of what is submitted. */
  readonly input: JsonSchema;
  /** `code`: the input's schema is code too, which sees what `input` lets through. Undefined: `input` says all. */
  readonly checkedBy?: "code" | undefined;
  /** Of the result; undefined: it may be anything. */
  readonly output?: JsonSchema | undefined;
  /** One attempt's limit in milliseconds. */
  readonly timeoutMs: number;
  readonly retry: RetryPolicy;
  /** Undefined: as many as are submitted. */
  readonly unique?: Unique | undefined;
  /** Undefined: it runs when it is submitted, and only then. */
  readonly schedule?: Schedule | undefined;
}

/** How severe a line of a task's log is. */
export type LogLevel = "debug" | "info" | "warn" | "error";

/** What a running task is given beside its input. */
export interface TaskContext {
  readonly task_id: string;
  readonly owner_id: string;
  /** From 1. */
  readonly attempt: number;
  /** Aborts when the task is cancelled, timed out or interrupted. Its reason says which. */
  readonly signal: AbortSignal;
  /** The same for every attempt of this task: hand it to services that can drop repeats. */
  readonly idempotencyKey: string;
  /** Reports progress: a share from 0 to 1, or `done` of `total`; a message may follow either. */
  progress(share: number, message?: string): void;
  progress(done: number, total: number, message?: string): void;
  /** Lines of the task's log; the task's owner reads them. */
  readonly log: Readonly<Record<LogLevel, (...parts: unknown[]) => void>>;
  /** Waits; rejects with the signal's reason when the task is to stop. */
  sleep(ms: number): Promise<void>;
  /** Ends this attempt and asks for another one after `ms` milliseconds (while attempts are left). */
  retryIn(ms: number, reason?: string): never;
  /** `fetch` that refuses private, loopback and link-local addresses at every hop, and heeds the signal. */
  fetch(url: string | URL, init?: RequestInit): Promise<Response>;
}

/** A definition with its code; it never leaves the thread that imported it. */
export interface TaskDefinition<Input = unknown, Output = unknown> {
  readonly policy: TaskPolicy;
  /** Undefined: the policy's JSON Schemas are all, as with a built-in task. */
  readonly code?: SchemaCode | undefined;
  run(input: Input, ctx: TaskContext): Output | Promise<Output>;
}

/** The schemas of a definition that are code. Where there is one, the policy's JSON Schema is made of it where the file is loaded. */
export interface SchemaCode {
  readonly input?: StandardSchema | undefined;
  readonly output?: StandardSchema | undefined;
  /** Made where `task` was called: its stack tells the place. */
  readonly at: Error;
}
