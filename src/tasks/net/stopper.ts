import { FetchError } from "./fetch-error.ts";

/**
 * Joins the caller's signal with the time limits of one request, redirects and body included, into one signal.
 * Whoever makes one calls `release` when the request is over.
 */
export class Stopper {
  readonly signal: AbortSignal;
  readonly #controller = new AbortController();
  readonly #caller: AbortSignal | undefined;
  readonly #total: ReturnType<typeof setTimeout>;
  #step: ReturnType<typeof setTimeout> | undefined;

  constructor(caller: AbortSignal | undefined, totalMs: number) {
    this.signal = this.#controller.signal;
    this.#caller = caller;
    this.#total = setTimeout(() => this.#expire("the whole request", totalMs), totalMs);
    // An answer whose body nobody reads keeps the timer, but must not keep the process.
    this.#total.unref();
    if (caller?.aborted) this.#onCaller();
    else caller?.addEventListener("abort", this.#onCaller, { once: true });
  }

  /** Gives the next step `ms` milliseconds; replaces the limit of the step before. */
  within(ms: number, step: string): void {
    clearTimeout(this.#step);
    this.#step = setTimeout(() => this.#expire(step, ms), ms);
  }

  /** No step is being waited for. */
  idle(): void {
    clearTimeout(this.#step);
  }

  /** Rejects with the reason as soon as the signal aborts; else settles as `promise` does. */
  async race<T>(promise: Promise<T>): Promise<T> {
    this.signal.throwIfAborted();
    const { promise: stopped, reject } = Promise.withResolvers<never>();
    const onAbort = () => reject(this.signal.reason);
    this.signal.addEventListener("abort", onAbort, { once: true });
    try {
      return await Promise.race([promise, stopped]);
    } finally {
      this.signal.removeEventListener("abort", onAbort);
    }
  }

  /** Idempotent. */
  release(): void {
    clearTimeout(this.#total);
    clearTimeout(this.#step);
    this.#caller?.removeEventListener("abort", this.#onCaller);
  }

  readonly #onCaller = (): void => this.#controller.abort(this.#caller?.reason);

  #expire(step: string, ms: number): void {
    this.#controller.abort(new FetchError("timeout", `${step} took longer than ${ms / 1000} s`));
  }
}
