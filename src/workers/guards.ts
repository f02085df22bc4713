import type { LogLevel } from "../domain/definition.ts";
import type { Executor } from "./executor.ts";
import { inspect, lookAt, type Run } from "./run.ts";

/** What a task is told that calls process.exit. */
class ExitAsked extends Error {
  override readonly name = "ExitAsked";
  readonly code = "process_exit";
}

const CONSOLE: Readonly<Record<string, LogLevel>> = {
  log: "info",
  info: "info",
  debug: "debug",
  trace: "debug",
  warn: "warn",
  error: "error",
};

/**
 * Keeps what one task does from reaching the others on its thread: console lines go to the task's log, process.exit
 * and errors that nobody caught fail the task that they come from, and the thread lives on.
 *
 * The task is known by its asynchronous context. Promise rejections carry none in Bun; then it is the only task that ever
 * ran here, or the only one whose code is on the error's stack. Where several could be meant, those that still run do so
 * once more, each alone.
 */
export function guard(executor: Executor): void {
  guardConsole(executor);
  const exit = (): never => {
    const error = new ExitAsked("the task called process.exit");
    executor.current()?.fail(error);
    throw error;
  };
  process.exit = exit as typeof process.exit;
  process.abort = exit;
  guardMicrotasks(executor);
  const uncaught = (error: unknown): void => blame(executor, error);
  process.on("uncaughtException", uncaught);
  process.on("unhandledRejection", uncaught);
}

function guardConsole(executor: Executor): void {
  for (const [method, level] of Object.entries(CONSOLE)) {
    (console as unknown as Record<string, unknown>)[method] = (...parts: unknown[]): void => {
      const run = executor.current();
      if (run) run.log(level, inspect(parts));
      else executor.line(level, inspect(parts));
    };
  }
}

/** Bun calls the handlers of an error in a microtask without its context, so it is caught here, where there is one. */
function guardMicrotasks(executor: Executor): void {
  const native = globalThis.queueMicrotask;
  globalThis.queueMicrotask = (callback) => {
    const run = executor.current();
    if (!run) return native(callback);
    native(() => {
      try {
        callback();
      } catch (error) {
        run.fail(error);
      }
    });
  };
}

function blame(executor: Executor, error: unknown): void {
  const culprit = executor.current();
  if (culprit) return culprit.fail(error);
  if (lookAt(() => error instanceof ExitAsked, false)) return;
  const running = executor.running();
  const named = namedBy(error, running);
  const suspects = named.length > 0 ? named : running;
  const [only] = suspects;
  // One that has ended may have left something behind that fails only now.
  const others = named.length > 0 ? executor.hasEnded(only?.file) : executor.hasEnded();
  if (only && suspects.length === 1 && !others) return only.fail(error);
  executor.line("error", `uncaught error outside a task, or of one of ${suspects.length}: ${inspect([error])}`);
  for (const run of suspects) run.suspect();
}

/** The runs whose code is on the error's stack. */
function namedBy(error: unknown, running: readonly Run[]): readonly Run[] {
  const stack = lookAt(() => (error instanceof Error ? String(error.stack) : ""), "");
  return running.filter((run) => run.file !== undefined && stack.includes(run.file));
}
