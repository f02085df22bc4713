import type { ChangedTask, StoredTask, TaskStore } from "../ports/tasks.ts";
import { nativeTopic, type Topics } from "./topics.ts";
import { NOTICE_RESULT_BYTES, noticeJson } from "./views.ts";

/** More changed tasks than this are not caught up one by one: the client loads its lists anew. */
const CATCH_UP_MAX = 10_000;
/** Rows of one page of catching up: at first, and at most; after a reader had enough of one, fewer. */
const FIRST_ROWS = 32;
const PAGE_ROWS = 1_000;
/** Single tasks that one socket may follow. */
const TASKS_MAX = 1_000;
/** A reader that has this much before it is waited for, in bytes: well below what cuts a socket off. */
const UNREAD_BYTES = 256 * 1024;

/** A socket as far as following needs it. */
export interface Reader {
  send(text: string): void;
  subscribe(topic: string): void;
  unsubscribe(topic: string): void;
  /** Bytes sent and not yet taken by the other end. */
  unread(): number;
}

type Store = Pick<TaskStore, "changed" | "countChanged" | "currentSeq" | "purgedSeq" | "epoch" | "get">;

/** A topic as clients name it: their own tasks, one task, or everybody's. */
export type Topic =
  | { readonly kind: "me" }
  | { readonly kind: "task"; readonly id: string; readonly ownerId: string }
  | { readonly kind: "tasks" };

interface Owner {
  readonly n: number;
  readonly id: string;
}

/** Rows of one topic that are still to be sent, before those of all that is followed and then the live notices. */
interface CatchUp {
  readonly topic: Topic;
  /** What the client has seen. */
  from: number;
  at: number;
  readonly upTo: number;
}

/**
 * What one socket follows. Live notices come over native topics that never overlap, so each transition arrives once;
 * while the socket catches up it follows none of them and reads from the rows, and it goes live in the very turn in
 * which it finds no more rows: nothing is missed in between, and nothing comes twice or out of order.
 */
export class Follower {
  readonly #reader: Reader;
  readonly #store: Store;
  readonly #topics: Topics;
  readonly #owner: Owner;
  #me = true;
  #all = false;
  readonly #tasks = new Map<string, string>();
  #native = new Set<string>();
  /** Where live notices stopped, while they are held back. */
  #heldAt: number | undefined;
  #catchUps: CatchUp[] = [];
  /** How many times the client is to be told that it has caught up: once for each time that it asked. */
  #owed = 0;
  #pageRows = FIRST_ROWS;
  #paging = false;
  #closed = false;

  constructor(parts: { reader: Reader; store: Store; topics: Topics; owner: Owner }) {
    this.#reader = parts.reader;
    this.#store = parts.store;
    this.#topics = parts.topics;
    this.#owner = parts.owner;
  }

  /** Begins with the owner's tasks; from `since` on where the client says what it has seen. */
  open(since: number | undefined, epoch: string | undefined): void {
    this.follow({ kind: "me" }, since, epoch);
  }

  hasRoomFor(topic: Topic): boolean {
    return topic.kind !== "task" || this.#tasks.size < TASKS_MAX || this.#tasks.has(topic.id);
  }

  follow(topic: Topic, since?: number, epoch?: string): void {
    if (topic.kind === "me") this.#me = true;
    else if (topic.kind === "tasks") this.#all = true;
    else this.#tasks.set(topic.id, topic.ownerId);
    if (since === undefined) return this.#refresh();
    if (!this.#canCatchUp(topic, since, epoch)) return this.#reset();
    this.#catchUp(topic, since);
    this.#page();
  }

  unfollow(topic: Topic): void {
    if (topic.kind === "me") this.#me = false;
    else if (topic.kind === "tasks") this.#all = false;
    else this.#tasks.delete(topic.id);
    this.#catchUps = this.#catchUps.filter((catchUp) => !isSame(catchUp.topic, topic));
    this.#refresh();
  }

  /** The reader has taken what was before it. */
  drained(): void {
    if (this.#heldAt !== undefined) this.#page();
  }

  close(): void {
    this.#closed = true;
    for (const topic of this.#native) this.#topics.left(topic);
    this.#native.clear();
  }

  #reset(): void {
    this.#reader.send('{"type":"reset"}');
    this.#refresh();
  }

  /** Asked again while it is still under way, it goes on: what was asked for is told once. */
  #catchUp(topic: Topic, since: number): void {
    this.#hold();
    this.#owed += 1;
    const pending = this.#catchUps.find((catchUp) => isSame(catchUp.topic, topic));
    if (!pending) this.#catchUps.push({ topic, from: since, at: since, upTo: this.#heldAt ?? since });
    else if (since < pending.from) pending.from = pending.at = since;
  }

  #canCatchUp(topic: Topic, since: number, epoch: string | undefined): boolean {
    if (epoch !== undefined && epoch !== this.#store.epoch) return false;
    if (since > this.#store.currentSeq() || since < this.#store.purgedSeq()) return false;
    if (topic.kind === "task") return true;
    const owner = topic.kind === "me" ? this.#owner.n : undefined;
    return this.#store.countChanged({ after: since, upTo: this.#store.currentSeq(), owner }, CATCH_UP_MAX + 1) <= CATCH_UP_MAX;
  }

  /** Holds live notices back from now on. */
  #hold(): void {
    if (this.#heldAt !== undefined) return;
    this.#heldAt = this.#store.currentSeq();
    this.#setNative(new Set());
  }

  #refresh(): void {
    if (this.#heldAt === undefined) this.#goLive();
  }

  #goLive(): void {
    this.#heldAt = undefined;
    this.#setNative(this.#cover());
  }

  /** The fewest native topics that carry all that is followed, none of it twice. */
  #cover(): Set<string> {
    if (this.#all) return new Set([nativeTopic.all]);
    const cover = new Set<string>();
    if (this.#me) cover.add(nativeTopic.owner(this.#owner.id));
    for (const [id, ownerId] of this.#tasks) {
      if (!this.#me || ownerId !== this.#owner.id) cover.add(nativeTopic.task(id));
    }
    return cover;
  }

  #setNative(next: Set<string>): void {
    for (const topic of this.#native) {
      if (next.has(topic)) continue;
      this.#reader.unsubscribe(topic);
      this.#topics.left(topic);
    }
    for (const topic of next) {
      if (this.#native.has(topic)) continue;
      this.#reader.subscribe(topic);
      this.#topics.followed(topic);
    }
    this.#native = next;
  }

  /** Sends pages until the reader has enough before it or there are no more rows. */
  #page(): void {
    if (this.#closed || this.#paging) return;
    if (this.#reader.unread() > UNREAD_BYTES) return;
    if (this.#sendPage()) return this.#caughtUp();
    // Others have their turn between two pages.
    this.#paging = true;
    setImmediate(() => {
      this.#paging = false;
      this.#page();
    });
  }

  /** @returns whether that was the last of all there is */
  #sendPage(): boolean {
    const catchUp = this.#catchUps[0];
    const now = this.#store.currentSeq();
    const limit = this.#pageRows;
    const rows = this.#rows(catchUp?.topic, catchUp ? catchUp.at : (this.#heldAt ?? now), catchUp ? catchUp.upTo : now, limit);
    const sent = this.#sendRows(rows);
    this.#pageRows = sent < rows.length ? sent : Math.min(PAGE_ROWS, limit * 2);
    const last = rows[sent - 1]?.seq;
    const atEnd = sent === rows.length && sent < limit;
    if (catchUp) {
      catchUp.at = last ?? catchUp.at;
      if (atEnd) this.#catchUps.shift();
    } else {
      this.#heldAt = last ?? this.#heldAt;
    }
    return !catchUp && atEnd;
  }

  /** As many as the reader can have before it, but one at least. @returns how many */
  #sendRows(rows: readonly ChangedTask[]): number {
    let sent = 0;
    for (const row of rows) {
      if (sent > 0 && this.#reader.unread() > UNREAD_BYTES) break;
      this.#reader.send(noticeJson(row, row.result, row.truncated, lastChangeAt(row)));
      sent += 1;
    }
    return sent;
  }

  #rows(only: Topic | undefined, after: number, upTo: number, limit: number): readonly ChangedTask[] {
    const all = only ? only.kind === "tasks" : this.#all;
    if (all) return this.#store.changed({ after, upTo }, limit, NOTICE_RESULT_BYTES);
    const me = only ? only.kind === "me" : this.#me;
    const mine = me ? this.#store.changed({ after, upTo, owner: this.#owner.n }, limit, NOTICE_RESULT_BYTES) : [];
    const others = only ? [] : [...this.#tasks].filter(([, ownerId]) => !me || ownerId !== this.#owner.id).map(([id]) => id);
    const single = (only?.kind === "task" ? [only.id] : others).flatMap((id) => this.#row(id, after, upTo));
    return single.length === 0 ? mine : [...mine, ...single].sort((a, b) => a.seq - b.seq).slice(0, limit);
  }

  #row(id: string, after: number, upTo: number): readonly ChangedTask[] {
    const seq = this.#store.get(id)?.seq ?? 0;
    return seq > after && seq <= upTo ? this.#store.changed({ after: seq - 1, upTo: seq }, 1, NOTICE_RESULT_BYTES) : [];
  }

  #caughtUp(): void {
    // In one turn: the rows are at their end, so what is stored from here on comes live.
    for (; this.#owed > 0; this.#owed -= 1) this.#reader.send(`{"type":"caught_up","seq":${this.#store.currentSeq()}}`);
    this.#goLive();
  }
}

function lastChangeAt(task: StoredTask): number {
  if (task.finishedAt !== null) return task.finishedAt;
  return task.status === "in progress" && task.startedAt !== null ? task.startedAt : task.createdAt;
}

const isSame = (a: Topic, b: Topic): boolean => a.kind === b.kind && (a.kind !== "task" || b.kind !== "task" || a.id === b.id);
