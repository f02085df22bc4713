import type { BrokerEvent, EventPage, Offset } from "../../ports/broker.ts";
import { PAGE_RESULT_CHARS, resultChars } from "../../ports/broker.ts";

/**
 * The start of a job enters the stream after this long, in milliseconds, or right before its outcome: so start and outcome
 * of a short one stand together and become one write.
 */
const STARTED_MS = 10;

/** Unacknowledged events, and starts that are not among them yet. */
export class EventLog {
  readonly #epoch: string;
  readonly #onEvents: () => void;
  #events: BrokerEvent[] = [];
  /** The number of the first one. */
  #first = 1;
  /** Starts that are kept back, by task. */
  readonly #fresh = new Map<string, BrokerEvent>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param onEvents called when there is something to read */
  constructor(epoch: string, onEvents: () => void) {
    this.#epoch = epoch;
    this.#onEvents = onEvents;
  }

  get size(): number {
    return this.#events.length + this.#fresh.size;
  }

  /** See BrokerHub.events. Whoever has read everything else is told of the starts that are kept back, too. */
  page(from: Offset | null, limit: number): EventPage {
    const read = from?.epoch === this.#epoch ? Number(from.id) : this.#first - 1;
    const start = Math.max(0, read + 1 - this.#first);
    if (start >= this.#events.length) this.#appendFresh();
    const events = this.#events.slice(start, this.#pageEnd(start, limit));
    const last = events.length > 0 ? this.#first + start + events.length - 1 : read;
    return { events, offset: { epoch: this.#epoch, id: String(last) }, more: start + events.length < this.#events.length };
  }

  /** Removes what is stored. @returns the events that are gone */
  acknowledge(offset: Offset): readonly BrokerEvent[] {
    const count = offset.epoch === this.#epoch ? Number(offset.id) - this.#first + 1 : 0;
    if (count <= 0) return [];
    const gone = this.#events.slice(0, count);
    this.#events = this.#events.slice(count);
    this.#first += count;
    return gone;
  }

  /** A job has started: this is told a little later. */
  started(event: BrokerEvent): void {
    this.#appendStart(event.id);
    this.#fresh.set(event.id, event);
    this.#timer ??= setTimeout(() => {
      this.#appendFresh();
      this.#onEvents();
    }, STARTED_MS);
  }

  /** Appends an event, behind its job's start. */
  append(event: BrokerEvent): void {
    this.#appendStart(event.id);
    this.#events.push(event);
    this.#onEvents();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #pageEnd(start: number, limit: number): number {
    let end = start;
    for (let chars = 0; end < this.#events.length && end < start + limit && chars < PAGE_RESULT_CHARS; end += 1) {
      chars += resultChars(this.#events[end] as BrokerEvent);
    }
    return end;
  }

  #appendStart(id: string): void {
    const started = this.#fresh.get(id);
    if (!started) return;
    this.#fresh.delete(id);
    this.#events.push(started);
  }

  #appendFresh(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const started of this.#fresh.values()) this.#events.push(started);
    this.#fresh.clear();
  }
}
