import type { BrokerEvent } from "../../ports/broker.ts";

/** A start alone is told of after this long, in milliseconds: with its outcome, if that comes sooner, it becomes one write. */
const KEPT_MS = 10;

/**
 * Starts that are kept back for a moment. If the process dies with them, what is lost is that the task was seen to run: its
 * outcome counts without.
 */
export class Starts {
  /** By dispatch, oldest first, with when they came (by performance.now()). */
  readonly #kept = new Map<string, { readonly event: BrokerEvent; readonly since: number }>();
  readonly #onDue: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param onDue called when some have been kept for long enough */
  constructor(onDue: () => void) {
    this.#onDue = onDue;
  }

  keep(event: BrokerEvent): void {
    const key = keyOf(event);
    this.#kept.delete(key);
    this.#kept.set(key, { event, since: performance.now() });
    this.#callLater();
  }

  /** The start of this event's dispatch, if it is kept: it comes before. */
  before(event: BrokerEvent): BrokerEvent | undefined {
    const key = keyOf(event);
    const kept = this.#kept.get(key);
    this.#kept.delete(key);
    return kept?.event;
  }

  /** At most `limit` of those that have been kept for long enough, or of all. */
  take(limit: number, all: boolean): BrokerEvent[] {
    const until = all ? Number.POSITIVE_INFINITY : performance.now() - KEPT_MS;
    const taken: BrokerEvent[] = [];
    for (const [key, { event, since }] of this.#kept) {
      if (since > until || taken.length >= limit) break;
      taken.push(event);
      this.#kept.delete(key);
    }
    // A timer may run early.
    if (this.#kept.size > 0) this.#callLater();
    return taken;
  }

  #callLater(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#onDue();
    }, KEPT_MS);
  }

  get size(): number {
    return this.#kept.size;
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#kept.clear();
  }
}

const keyOf = ({ id, fence }: BrokerEvent): string => `${id} ${fence}`;
