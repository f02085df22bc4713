import type { LogLevel, TaskContext } from "../domain/definition.ts";
import { backoffMs } from "../domain/retry.ts";
import type { TaskFailure } from "../domain/task.ts";
import type { Job, LogLine, Outcome } from "../ports/broker.ts";
import type { Clock, Random } from "../ports/runtime.ts";
import type { FetchError } from "../tasks/net/fetch-error.ts";
import type { StopReason } from "./messages.ts";
import type { Runnable } from "./schemas.ts";

/** Longest result, in bytes of JSON. */
export const MAX_RESULT_BYTES = 8 * 1024 * 1024;
/** An error message longer than this is cut, in characters. */
const MAX_MESSAGE = 2_000;
/** Longest wait that a task can ask for, in milliseconds: a year. */
const MAX_WAIT_MS = 366 * 86_400_000;
/** A task's own log is bounded, per attempt: lines, and characters in all and per line. */
const MAX_LOG_LINES = 1_000;
const MAX_LOG_CHARS = 256 * 1024;
const MAX_LINE_CHARS = 8 * 1024;

/** The reason of a task's AbortSignal. */
export class Stopped extends Error {
  override readonly name = "Stopped";
  readonly reason: StopReason;

  constructor(reason: StopReason) {
    super(`the task was ${reason === "timeout" ? "timed out" : reason}`);
    this.reason = reason;
  }
}

class RetryAsked extends Error {
  override readonly name = "RetryAsked";
  readonly delayMs: number;

  constructor(delayMs: number, reason: string) {
    super(reason);
    this.delayMs = delayMs;
  }
}

/** What a run needs from the thread that hosts it. */
export interface RunHost {
  readonly clock: Clock;
  readonly random: Pick<Random, "fraction">;
  /** Hands on progress; the host decides when. */
  progress(run: Run): void;
  /** Tells the host that lines wait. */
  logged(run: Run): void;
  fetch(url: string | URL, init: RequestInit): Promise<Response>;
}

/** One attempt of one task inside a thread. It ends exactly once, whatever the task's code does later. */
export class Run {
  readonly job: Job;
  readonly slot: number;
  /** Where the task's code lies, if not inside the executable. */
  readonly file: string | undefined;
  progressShare: number | null = null;
  progressMessage: string | null = null;
  /** Lines that have not been sent. */
  lines: LogLine[] = [];
  readonly #host: RunHost;
  readonly #abort = new AbortController();
  #definition: Runnable | undefined;
  #end: ((outcome: Outcome) => void) | undefined;
  #logLines = 0;
  #logChars = 0;

  constructor(of: { slot: number; job: Job; file: string | undefined }, host: RunHost, end: (outcome: Outcome) => void) {
    this.slot = of.slot;
    this.job = of.job;
    this.file = of.file;
    this.#host = host;
    this.#end = end;
  }

  get ended(): boolean {
    return this.#end === undefined;
  }

  /** Runs the task's code; never throws. */
  async execute(load: () => Runnable | Promise<Runnable>): Promise<void> {
    try {
      const loaded = load();
      this.#definition = loaded instanceof Promise ? await loaded : loaded;
      const { prepare, conclude } = this.#definition;
      const args: unknown = JSON.parse(this.job.args);
      const input = prepare ? await prepare(args) : args;
      const result: unknown = await this.#definition.run(input, this.#context());
      this.#returned(conclude ? await conclude(result) : result);
    } catch (error) {
      this.fail(error);
    }
  }

  /** Asks the task's code to stop. */
  stop(reason: StopReason): void {
    this.#abort.abort(new Stopped(reason));
  }

  /** The run threw, here or in a callback of its own. */
  fail(error: unknown): void {
    if (this.#stoppedFor() !== undefined) this.#finish(this.#stopOutcome());
    else this.#finish({ kind: "failed", ...this.#base(), ...this.#failure(error) });
    // Whatever the failed code has left running should stop too.
    if (!this.#abort.signal.aborted) this.stop("interrupted");
  }

  /** An error that could be this run's or a neighbour's: it is run again by itself, where it can be told. */
  suspect(): void {
    this.#finish({ kind: "suspected", ...this.#base() });
    if (!this.#abort.signal.aborted) this.stop("interrupted");
  }

  /** Appends a line to the task's log, within its bounds. */
  log(level: LogLevel, message: string): void {
    if (this.ended || this.#logLines > MAX_LOG_LINES) return;
    const text = message.length > MAX_LINE_CHARS ? `${message.slice(0, MAX_LINE_CHARS)}…` : message;
    this.#logLines += 1;
    this.#logChars += text.length;
    const full = this.#logLines > MAX_LOG_LINES || this.#logChars > MAX_LOG_CHARS;
    if (full) this.#logLines = MAX_LOG_LINES + 1;
    this.lines.push({
      at: this.#host.clock.now(),
      level: full ? "warn" : level,
      message: full ? "the log is full: later lines are dropped" : text,
    });
    this.#host.logged(this);
  }

  #returned(value: unknown): void {
    // A result that comes after the time was up is no result: the caller was promised the limit.
    if (this.#stoppedFor() === "timeout") return this.#finish(this.#stopOutcome());
    let result: string;
    try {
      result = JSON.stringify(value === undefined ? null : value) ?? "null";
    } catch (error) {
      const message = `the result is not JSON: ${error instanceof Error ? error.message : String(error)}`;
      return this.#finish({ kind: "failed", ...this.#base(), error: { code: "error", message }, retryInMs: null });
    }
    const tooLarge =
      result.length > MAX_RESULT_BYTES || (result.length * 3 > MAX_RESULT_BYTES && Buffer.byteLength(result) > MAX_RESULT_BYTES);
    if (!tooLarge) return this.#finish({ kind: "done", ...this.#base(), result });
    const error = { code: "result_too_large", message: `the result is over ${MAX_RESULT_BYTES} bytes of JSON` };
    this.#finish({ kind: "failed", ...this.#base(), error, retryInMs: null });
  }

  #stoppedFor(): StopReason | undefined {
    const { reason } = this.#abort.signal as { reason?: unknown };
    return reason instanceof Stopped ? reason.reason : undefined;
  }

  #stopOutcome(): Outcome {
    const reason = this.#stoppedFor();
    if (reason === "cancelled") return { kind: "cancelled", ...this.#base() };
    if (reason === "timeout")
      return { kind: "failed", ...this.#base(), error: timedOut(), retryInMs: this.#retryInMs(undefined) };
    return { kind: "released", ...this.#base() };
  }

  #failure(error: unknown): { error: TaskFailure; retryInMs: number | null } {
    const backoff = this.#retryInMs(undefined);
    return lookAt(() => ({ error: describe(error), retryInMs: this.#retryInMs(error) }), {
      error: { code: "error", message: "the task threw something that cannot be shown" },
      retryInMs: backoff,
    });
  }

  #retryInMs(error: unknown): number | null {
    if (error instanceof RetryAsked) return error.delayMs;
    // By name, so that an error class of a file's own copy of the library counts as well.
    if (error instanceof Error && error.name === "NonRetryableError") return null;
    // What ctx.fetch refuses, such as a private address, it would refuse again.
    if (error instanceof Error && error.name === "FetchError" && (error as Partial<FetchError>).transient === false) return null;
    if (!this.#definition) return 1_000;
    return backoffMs(this.#definition.policy.retry, this.job.attempt, this.#host.random.fraction());
  }

  #finish(outcome: Outcome): void {
    const end = this.#end;
    if (!end) return;
    this.#end = undefined;
    end(this.lines.length > 0 ? { ...outcome, log: this.lines } : outcome);
    this.lines = [];
  }

  #base(): { id: string; fence: number; at: number } {
    return { id: this.job.id, fence: this.job.fence, at: this.#host.clock.now() };
  }

  #context(): TaskContext {
    const run = this;
    const { signal } = this.#abort;
    const write =
      (level: LogLevel) =>
      (...parts: unknown[]) =>
        run.log(level, inspect(parts));
    return {
      task_id: this.job.id,
      owner_id: this.job.owner,
      attempt: this.job.attempt,
      signal,
      idempotencyKey: this.job.id,
      progress(share: number, second?: number | string, message?: string) {
        run.#report(share, second, message);
      },
      log: { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") },
      sleep: (ms) => sleep(ms, signal),
      retryIn(ms, reason = "the task asked to be retried") {
        if (!Number.isFinite(ms) || ms < 0) throw new TypeError("retryIn takes milliseconds, 0 or more");
        throw new RetryAsked(Math.min(Math.round(ms), MAX_WAIT_MS), reason);
      },
      fetch: (url, init) =>
        run.#host.fetch(url, { ...init, signal: init?.signal ? AbortSignal.any([init.signal, signal]) : signal }),
    };
  }

  #report(share: number, second?: number | string, message?: string): void {
    if (this.ended) return;
    const value = typeof second === "number" ? (second > 0 ? share / second : 1) : share;
    if (!Number.isFinite(value)) throw new TypeError("progress takes a share from 0 to 1, or done and total");
    this.progressShare = Math.min(1, Math.max(0, value));
    const text = typeof second === "string" ? second : message;
    if (text !== undefined) this.progressMessage = String(text).slice(0, MAX_MESSAGE);
    this.#host.progress(this);
  }
}

/** The failure of an attempt that ran out of time. */
export const timedOut = (): TaskFailure => ({ code: "timeout", message: "the attempt took longer than the task allows" });

/** What the task's owner is told of an error: its message, and its own code where that is a snake_case word. */
export function describe(error: unknown): TaskFailure {
  const code = error instanceof Error ? (error as { code?: unknown }).code : undefined;
  const message = error instanceof Error ? String(error.message || error.name) : inspect([error]);
  return {
    code: typeof code === "string" && /^[a-z][a-z0-9_]{0,63}$/.test(code) ? code : "error",
    message: message.length > MAX_MESSAGE ? `${message.slice(0, MAX_MESSAGE)}…` : message,
  };
}

/** As console.log would show it, on one string. */
export function inspect(parts: readonly unknown[]): string {
  return parts.map((part) => (typeof part === "string" ? part : show(part))).join(" ");
}

const show = (value: unknown): string => lookAt(() => Bun.inspect(value, { colors: false, depth: 4 }), "[cannot be shown]");

/** Looks at something of a task's, whose getters and proxies may throw. */
export function lookAt<T>(look: () => T, otherwise: T): T {
  try {
    return look();
  } catch {
    return otherwise;
  }
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    signal.addEventListener("abort", stop, { once: true });
  });
}
