/**
 * What a task file gets by `import { task, t } from "artel"`.
 */
import { type Static, type TSchema, Type } from "@sinclair/typebox";
import { didYouMean } from "../domain/closest.ts";
import type { SchemaCode, TaskContext, TaskDefinition } from "../domain/definition.ts";
import { parseDuration } from "../domain/duration.ts";
import { InvalidInput } from "../domain/errors.ts";
import { rateOf, type TaskLimits } from "../domain/limits.ts";
import type { Schedule } from "../domain/schedule.ts";
import { isStandardSchema, type StandardSchema } from "../domain/standard-schema.ts";
import type { Unique } from "../domain/unique.ts";
import { checkUnique, dataOf, type Schema } from "./schema.ts";
import { checkTaskName } from "./task-name.ts";

/** TypeBox's schema builder: `t.Object({ url: t.String() })`. */
export const t = Type;

export type { JsonSchema, RetryPolicy, TaskContext, TaskDefinition } from "../domain/definition.ts";
export type { StandardSchema } from "../domain/standard-schema.ts";
export type { Schema } from "./schema.ts";

/** What a schema takes: what callers send, or what `run` returns. */
export type Taken<S extends Schema> =
  S extends StandardSchema<infer Input, unknown> ? Input : S extends TSchema ? Static<S> : never;

/** What a schema makes of that: what `run` gets, or what the result is. */
export type Made<S extends Schema> =
  S extends StandardSchema<unknown, infer Output> ? Output : S extends TSchema ? Static<S> : never;

/** Fails the attempt with a code of the task's own (snake_case), which its owner sees. */
export class TaskError extends Error {
  override readonly name: string = "TaskError";
  readonly code: string;

  constructor(code: string, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** Fails the task for good: no attempt follows, whatever is left. */
export class NonRetryableError extends TaskError {
  override readonly name = "NonRetryableError";
}

/** How to retry; times are milliseconds or durations such as "30s". */
export interface RetryOptions {
  /** Attempts in all, the first included. Default 3. */
  attempts?: number;
  /** Upper bound of the first wait; it doubles with each attempt. Default 1s. */
  backoff?: number | string;
  /** No wait is longer. Default 5m. */
  maxBackoff?: number | string;
}

/** How fast attempts may begin. */
export interface RateOptions {
  /** So many … */
  limit: number;
  /** … in this time: milliseconds or a duration. */
  per: number | string;
  /** So many at once after a time without any. Default: what comes in a tenth of a second, at least 1. */
  burst?: number;
}

/** When a task runs by itself. */
export interface ScheduleOptions<Input> {
  /** Minute, hour, day of month, month, day of week; with six fields, seconds first; or a word such as "@daily". */
  cron: string;
  /** IANA name, such as "Europe/Berlin". Default "UTC". */
  timeZone?: string;
  /** What it runs with. Default {}. */
  input?: Input;
  /** For times that passed while no server ran: "once" (default), one run for all of them, or "skip". */
  missed?: "once" | "skip";
}

/** What `task` takes. */
export interface TaskOptions<Input extends Schema, Result, Output extends Schema> {
  /** `[a-z0-9][a-z0-9_.-]*`, at most 64 characters. Default: the file's name without its ending. */
  name?: string;
  /** Shown in the docs page and in the definitions. */
  description?: string;
  /** Default "default". */
  queue?: string;
  /**
   * The input's schema: of `t`, whose objects are closed (fields that it does not name are refused), or of a library that follows
   * Standard Schema, by whose rules it is checked and transformed before `run` gets it.
   */
  input: Input;
  /** The result's schema: an attempt whose result does not fit fails with `invalid_output`. */
  output?: Output;
  /** Attempts in all, or how to retry. Default 3 attempts. */
  retry?: number | RetryOptions;
  /** One attempt's limit: milliseconds or a duration. Default 5m. */
  timeout?: number | string;
  /** At most so many run at the same time, on all machines together. */
  concurrency?: number;
  /** At most so many of one user. */
  perUser?: number;
  /** Attempts begin no faster than this, on all machines together: "10/s", "100/m", "5000/h", "3/10s", or more to it. */
  rate?: string | RateOptions;
  /**
   * While one waits or runs, its owner's next one with the same input is that one: no second comes to be. `true`: the whole
   * input counts; or the names of the fields that do.
   */
  unique?: boolean | readonly (keyof Taken<Input> & string)[];
  /** Runs by itself at these times: a cron expression, or more to it. */
  schedule?: string | ScheduleOptions<Taken<Input>>;
  run(input: Made<Input>, ctx: TaskContext): Result | Promise<Result>;
}

const QUEUE = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;
const OPTIONS = new Set([
  "name",
  "description",
  "queue",
  "input",
  "output",
  "retry",
  "timeout",
  "concurrency",
  "perUser",
  "rate",
  "unique",
  "schedule",
  "run",
]);
const SCHEDULE_OPTIONS = new Set(["cron", "timeZone", "input", "missed"]);
const RATE_OPTIONS = new Set(["limit", "per", "burst"]);
const RETRY_OPTIONS = new Set(["attempts", "backoff", "maxBackoff"]);
const MAX_TIMEOUT_MS = 7 * 86_400_000;
const MAX_WAIT_MS = 366 * 86_400_000;

/**
 * Defines a task. The default export of a task file is its result.
 *
 * @throws InvalidInput `invalid_definition` naming the field that is wrong
 * @example
 * export default task({
 *   input: t.Object({ name: t.String() }),
 *   run: ({ name }, ctx) => { ctx.progress(0.5); return `hello ${name}`; },
 * });
 */
export function task<Input extends Schema, Result extends Taken<Output>, Output extends Schema = StandardSchema>(
  options: TaskOptions<Input, Result, Output>,
): TaskDefinition<Made<Input>, Result> {
  const problem = (text: string): never => {
    throw new InvalidInput("invalid_definition", text);
  };
  if (typeof options !== "object" || options === null) problem("task() takes one object");
  refuseUnknown(options, OPTIONS, "task()");
  if (typeof options.run !== "function") problem('"run" must be a function');
  if (options.name !== undefined) checkTaskName(options.name);
  if (options.queue !== undefined && !QUEUE.test(options.queue)) problem(`"queue" must match ${QUEUE.source}`);
  if (options.description !== undefined && typeof options.description !== "string") problem('"description" must be a string');
  const retry: RetryOptions = typeof options.retry === "number" ? { attempts: options.retry } : (options.retry ?? {});
  refuseUnknown(retry, RETRY_OPTIONS, '"retry"');
  const attempts = retry.attempts ?? 3;
  if (!Number.isInteger(attempts) || attempts < 1 || attempts > 1_000)
    problem('"retry" attempts must be a whole number from 1 to 1000');
  const timeoutMs = milliseconds(options.timeout ?? "5m", "timeout");
  if (timeoutMs < 1 || timeoutMs > MAX_TIMEOUT_MS) problem('"timeout" must be between 1ms and 7d');
  return {
    policy: {
      name: options.name ?? "",
      description: options.description ?? "",
      queue: options.queue ?? "default",
      input: dataOf(options.input, "input"),
      ...(isStandardSchema(options.input) && { checkedBy: "code" }),
      ...(options.output !== undefined && { output: dataOf(options.output, "output") }),
      timeoutMs,
      retry: {
        maxAttempts: attempts,
        backoffMs: milliseconds(retry.backoff ?? "1s", "backoff"),
        maxBackoffMs: milliseconds(retry.maxBackoff ?? "5m", "maxBackoff"),
      },
      ...limitsOf(options),
      ...(options.unique !== undefined && options.unique !== false && { unique: uniqueOf(options.unique, options.input) }),
      ...(options.schedule !== undefined && { schedule: scheduleOf(options.schedule) }),
    },
    code: codeOf(options.input, options.output),
    run: options.run,
  };
}

function codeOf(input: Schema, output: Schema | undefined): SchemaCode {
  return {
    ...(isStandardSchema(input) && { input }),
    ...(isStandardSchema(output) && { output }),
    at: new Error("task() was called here"),
  };
}

function refuseUnknown(value: object, known: ReadonlySet<string>, where: string): void {
  const unknown = Object.keys(value).find((key) => !known.has(key));
  if (unknown !== undefined) {
    const guess = didYouMean(unknown, [...known]);
    throw new InvalidInput("invalid_definition", `${where} has no field "${unknown}"${guess}; it takes ${[...known].join(", ")}`);
  }
}

function milliseconds(value: number | string, field: string): number {
  const ms = typeof value === "string" ? parseDuration(value) : value;
  if (typeof ms === "number" && ms >= 0 && ms <= MAX_WAIT_MS) return Math.round(ms);
  throw new InvalidInput("invalid_definition", `"${field}" must be milliseconds or a duration such as "30s", at most 366d`);
}

type LimitOptions = Pick<TaskOptions<Schema, unknown, Schema>, keyof TaskLimits>;

/** What of the limits is given. */
function limitsOf({ concurrency, perUser, rate }: LimitOptions): TaskLimits {
  return {
    ...(concurrency !== undefined && { concurrency: count(concurrency, "concurrency") }),
    ...(perUser !== undefined && { perUser: count(perUser, "perUser") }),
    ...(rate !== undefined && { rate: rateFrom(rate) }),
  };
}

function rateFrom(rate: string | RateOptions): TaskLimits["rate"] {
  const options = typeof rate === "object" && rate !== null ? rate : parseRate(String(rate));
  refuseUnknown(options, RATE_OPTIONS, '"rate"');
  const perMs = milliseconds(options.per, "rate");
  if (perMs < 1) throw new InvalidInput("invalid_definition", '"rate" must be in a time of 1ms or more');
  const burst = options.burst === undefined ? undefined : count(options.burst, "rate burst");
  return rateOf(count(options.limit, "rate limit"), perMs, burst);
}

/** "10/s", "3/10s". */
function parseRate(text: string): RateOptions {
  const [, limit, amount, unit] = /^(\d+)\/(\d*)(ms|s|m|h|d)$/.exec(text) ?? [];
  if (limit !== undefined) return { limit: Number(limit), per: `${amount || 1}${unit}` };
  throw new InvalidInput("invalid_definition", '"rate" must be such as "10/s", "100/m" or "3/10s", or { limit, per, burst? }');
}

function count(value: number, field: string): number {
  if (Number.isSafeInteger(value) && value >= 1) return value;
  throw new InvalidInput("invalid_definition", `"${field}" must be a whole number from 1`);
}

function uniqueOf(unique: true | readonly string[], input: Schema): Unique {
  // The fields of a schema that is code are seen where the file is loaded.
  checkUnique(unique, isStandardSchema(input) ? undefined : dataOf(input, "input"));
  return unique === true ? true : [...unique];
}

/** As plain data; whether its times and its input make sense is seen where the file is loaded. */
function scheduleOf(schedule: string | ScheduleOptions<unknown>): Schedule {
  const options = typeof schedule === "string" ? { cron: schedule } : schedule;
  refuseUnknown(options, SCHEDULE_OPTIONS, '"schedule"');
  const { cron, timeZone = "UTC", input = {}, missed = "once" } = options;
  const wrong = (what: string): never => {
    throw new InvalidInput("invalid_definition", `"schedule" ${what}`);
  };
  if (typeof cron !== "string" || typeof timeZone !== "string") wrong("needs a cron expression, and an IANA name as timeZone");
  if (missed !== "once" && missed !== "skip") wrong('missed must be "once" or "skip"');
  return { cron, timeZone, missed, input: JSON.parse(JSON.stringify(input)) as unknown };
}
