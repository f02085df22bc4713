import {
  type BrokerEvent,
  type EventPage,
  type JobRef,
  type Offset,
  PAGE_RESULT_CHARS,
  resultChars,
  type Unsubscribe,
} from "../../ports/broker.ts";
import { Signal } from "../signal.ts";
import { Blocking } from "./blocking.ts";
import { linesOf, MAX_ENTRIES } from "./claims.ts";
import { compareIds, type Entry, endsDispatch, eventsOf } from "./events.ts";
import type { Link } from "./link.ts";
import { Starts } from "./starts.ts";

/** Entries that are read at once: under load each holds dozens of events. */
const PAGE_ENTRIES = 64;
const BEGINNING = "0-0";

/** Where an offset lies: in an entry, behind so many of its events; without a number, behind all of them. */
interface Place {
  readonly entry: string;
  readonly events: number | undefined;
}

interface PageUnderWay {
  readonly events: BrokerEvent[];
  readonly limit: number;
  /** Of its results. */
  chars: number;
}

const isFull = ({ events, limit, chars }: PageUnderWay): boolean => events.length >= limit || chars >= PAGE_RESULT_CHARS;

interface Ahead {
  /** Behind which entry, of which life. */
  readonly after: Offset;
  readonly entries: Promise<readonly Entry[]>;
}

/** The recorder's side of the event stream. */
export class EventStream {
  readonly #link: Link;
  readonly #onEvents = new Signal<[]>();
  #blocking: Blocking | undefined;
  /** Up to where the reader has read, in which life. */
  #readTo: Offset | undefined;
  #more = false;
  #read = Promise.withResolvers<void>();
  /** What is behind an entry, brought by a wait or read ahead while the page before is stored. */
  #ahead: Ahead | undefined;
  /** What the entries that were read have ended, until they are acknowledged. */
  readonly #ended = new Map<string, readonly JobRef[]>();
  /** The life in which everything before #readTo is known here or gone. */
  #knownIn: string | undefined;
  readonly #starts = new Starts(() => this.#onEvents.emit());
  #stopped = false;

  constructor(link: Link) {
    this.#link = link;
    link.onReady(() => {
      this.#starts.clear();
      this.#readTo = undefined;
      this.#ahead = undefined;
      this.#wake();
      this.#onEvents.emit();
    });
  }

  onEvents(listener: () => void): Unsubscribe {
    if (!this.#blocking) {
      this.#blocking = new Blocking(this.#link, "artel-events");
      void this.#watch(this.#blocking);
    }
    return this.#onEvents.on(listener);
  }

  /** Nothing where Redis is away: there will be a call when it is back. */
  async events(from: Offset | null, limit: number, toTheEnd: boolean): Promise<EventPage> {
    const { epoch } = this.#link;
    const start = from?.epoch === epoch ? from : { epoch, id: BEGINNING };
    try {
      const page = await this.#pageFrom(start, limit, toTheEnd);
      this.#readTo = page.offset;
      this.#more = page.more;
      this.#wake();
      return page;
    } catch (error) {
      this.#link.complain("could not read events", error);
      return { events: [], offset: from ?? start, more: false };
    }
  }

  async acknowledge(offset: Offset): Promise<void> {
    if (offset.epoch !== this.#link.epoch) return;
    try {
      const { entry, events } = placeOf(offset);
      if (this.#knownIn !== offset.epoch) await this.#learn(entry, offset.epoch);
      const done = [...this.#ended.keys()].filter((id) => {
        const order = compareIds(id, entry);
        return order < 0 || (order === 0 && events === undefined);
      });
      const refs = done.flatMap((id) => this.#ended.get(id) ?? []);
      const first = events === undefined ? nextId(entry) : entry;
      await this.#link.run("acknowledge", [offset.epoch, first, MAX_ENTRIES, linesOf(refs)]);
      for (const id of done) this.#ended.delete(id);
    } catch (error) {
      // The next acknowledgement does it.
      this.#link.complain("could not acknowledge events", error);
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#starts.clear();
    this.#blocking?.stop();
    this.#wake();
  }

  async #pageFrom(start: Offset, limit: number, toTheEnd: boolean): Promise<EventPage> {
    const events: BrokerEvent[] = [];
    const page: PageUnderWay = { events, limit, chars: 0 };
    let offset = start;
    for (;;) {
      const place = placeOf(offset);
      const ahead = this.#takeAhead(offset);
      const entries = await (ahead?.entries ?? this.#range(place));
      for (const entry of entries) {
        offset = { epoch: start.epoch, id: this.#take(entry, place, page) };
        if (isFull(page)) return { events, offset, more: true };
      }
      const full = entries.length >= PAGE_ENTRIES;
      if (full) this.#readAhead(offset);
      // What was brought ahead tells nothing of what came since; but then the next wait does.
      const atEnd = !full && !(ahead && toTheEnd);
      events.push(...this.#starts.take(limit - events.length, toTheEnd && atEnd));
      if (atEnd) return { events, offset, more: toTheEnd && this.#starts.size > 0 };
      if (events.length > 0) return { events, offset, more: true };
    }
  }

  #takeAhead({ epoch, id }: Offset): Ahead | undefined {
    const ahead = this.#ahead;
    if (ahead?.after.epoch !== epoch || ahead.after.id !== id) return undefined;
    this.#ahead = undefined;
    return ahead;
  }

  #readAhead(after: Offset): void {
    const entries = this.#range(placeOf(after));
    // Whoever takes it hears of the failure.
    entries.catch(() => {});
    this.#ahead = { after, entries };
  }

  /** The entries from a place on; a place inside an entry reads that one again. */
  #range({ entry, events }: Place): Promise<readonly Entry[]> {
    const start = events === undefined ? `(${entry}` : entry;
    return this.#link.call((client) => client.xrange(this.#link.keys.events, start, "+", "COUNT", PAGE_ENTRIES));
  }

  /** Appends an entry's events, as many as there is room for, but for the starts. @returns the offset behind them */
  #take(entry: Entry, from: Place, page: PageUnderWay): string {
    const [id] = entry;
    const all = eventsOf(entry);
    this.#ended.set(id, all.filter(endsDispatch));
    for (let i = id === from.entry ? (from.events ?? 0) : 0; i < all.length; i += 1) {
      const event = all[i] as BrokerEvent;
      if (event.kind === "started") {
        this.#starts.keep(event);
        continue;
      }
      const started = isFull(page) ? undefined : this.#starts.before(event);
      if (started) page.events.push(started);
      if (isFull(page)) return `${id}:${i}`;
      page.events.push(event);
      page.chars += resultChars(event);
    }
    return id;
  }

  /** What an earlier process read and recorded, and did not acknowledge any more. */
  async #learn(upTo: string, epoch: string): Promise<void> {
    for (let after = BEGINNING; ; ) {
      const entries = await this.#link.call((client) => client.xrange(this.#link.keys.events, `(${after}`, upTo, "COUNT", 1_000));
      for (const entry of entries) this.#ended.set(entry[0], eventsOf(entry).filter(endsDispatch));
      const last = entries.at(-1)?.[0];
      if (last === undefined) break;
      after = last;
    }
    this.#knownIn = epoch;
  }

  #wake(): void {
    this.#read.resolve();
    this.#read = Promise.withResolvers();
  }

  /** Waits where the reader has stopped, calls it when there is more, and waits for it to have read that. */
  async #watch(blocking: Blocking): Promise<void> {
    while (!this.#stopped) {
      const read = this.#read.promise;
      const from = this.#readTo;
      if (from === undefined || this.#more) {
        await read;
        continue;
      }
      const entries = await blocking.wait(this.#link.keys.events, placeOf(from).entry);
      // A page that was read meanwhile may have been all of it.
      if (entries.length === 0 || this.#readTo !== from) continue;
      this.#ahead = { after: from, entries: Promise.resolve(entries) };
      this.#onEvents.emit();
      if (this.#readTo === from) await read;
    }
  }
}

function placeOf({ id }: Offset): Place {
  const [entry = BEGINNING, events] = id.split(":");
  return { entry, events: events === undefined ? undefined : Number(events) };
}

/** The first id behind this one. */
function nextId(id: string): string {
  const [ms = "0", n = "0"] = id.split("-");
  return `${ms}-${BigInt(n) + 1n}`;
}
