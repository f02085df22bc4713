import type { BrokerEvent } from "../../ports/broker.ts";

/** A start alone is told of after this long, in milliseconds: with its outcome, if that comes sooner, it becomes one write. */
const KEPT_MS = 10;

/**
 * Starts that are kept back for a moment. If the process dies with them, what is lost is that the task was seen to run: its
 * outcome counts without.
 */
export class Starts {
  /** By task, oldest first, with when they came (by performance.now()). */
  readonly #kept = new Map<string, { readonly event: BrokerEvent; readonly since: number }>();
  readonly #onDue: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param onDue called when some have been kept for long enough */
  constructor(onDue: () => void) {
    this.#onDue = onDue;
  }

  keep(event: BrokerEvent): void {
    this.#kept.delete(event.id);
    this.#kept.set(event.id, { event, since: performance.now() });
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#onDue();
    }, KEPT_MS);
  }

  /** The start of this event's dispatch, if it is kept: it comes before. */
  before({ id, fence }: BrokerEvent): BrokerEvent | undefined {
    const kept = this.#kept.get(id);
    if (kept === undefined) return undefined;
    this.#kept.delete(id);
    return kept.event.fence === fence ? kept.event : undefined;
  }

  /** At most `limit` of those that have been kept for long enough, or of all. */
  take(limit: number, all: boolean): BrokerEvent[] {
    const until = all ? Number.POSITIVE_INFINITY : performance.now() - KEPT_MS;
    const taken: BrokerEvent[] = [];
    for (const [id, { event, since }] of this.#kept) {
      if (since > until || taken.length >= limit) break;
      taken.push(event);
      this.#kept.delete(id);
    }
    return taken;
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
