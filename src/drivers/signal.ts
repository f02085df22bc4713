import type { Unsubscribe } from "../ports/broker.ts";

/** Calls listeners; what subscribes can unsubscribe. */
export class Signal<T extends unknown[]> {
  readonly #listeners = new Set<(...values: T) => void>();

  on(listener: (...values: T) => void): Unsubscribe {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  emit(...values: T): void {
    for (const listener of [...this.#listeners]) listener(...values);
  }
}
