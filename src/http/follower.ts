import type { ChangedTask, StoredTask, TaskStore } from "../ports/tasks.ts";
import type { StoredWorkflow, WorkflowStore } from "../ports/workflows.ts";
import { nativeTopic, type Topics } from "./topics.ts";
import { NOTICE_RESULT_BYTES, noticeJson } from "./views.ts";
import { workflowNoticeJson } from "./workflow-views.ts";

/** More changed tasks and workflows than this are not caught up one by one: the client loads its lists anew. */
const CATCH_UP_MAX = 10_000;
/** Rows of one page of catching up: at first, and at most; after a reader had enough of one, fewer. */
const FIRST_ROWS = 32;
const PAGE_ROWS = 1_000;
/** Single tasks and workflows that one socket may follow. */
const SINGLE_MAX = 1_000;
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

/** The rows that catching up reads. */
export interface FollowedRows {
  readonly store: Pick<TaskStore, "changed" | "countChanged" | "currentSeq" | "purgedSeq" | "epoch" | "get">;
  readonly workflows: Pick<WorkflowStore, "changed" | "countChanged" | "get">;
}

/** One task or one workflow. */
interface SingleTopic {
  readonly kind: "task" | "workflow";
  readonly id: string;
  readonly ownerId: string;
}

/** A topic as clients name it: all that is their own, one task or workflow, or everybody's. */
export type Topic = { readonly kind: "me" } | { readonly kind: "tasks" } | SingleTopic;

/** A changed row, and what is said of it. */
interface Word {
  readonly seq: number;
  text(): string;
}

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
  readonly #store: FollowedRows["store"];
  readonly #workflows: FollowedRows["workflows"];
  readonly #topics: Topics;
  readonly #owner: Owner;
  #me = true;
  #all = false;
  /** By their native topics. */
  readonly #single = new Map<string, SingleTopic>();
  #native = new Set<string>();
  /** Where live notices stopped, while they are held back. */
  #heldAt: number | undefined;
  #catchUps: CatchUp[] = [];
  /** How many times the client is to be told that it has caught up: once for each time that it asked. */
  #owed = 0;
  #pageRows = FIRST_ROWS;
  #paging = false;
  #closed = false;

  constructor(parts: FollowedRows & { reader: Reader; topics: Topics; owner: Owner }) {
    this.#reader = parts.reader;
    this.#store = parts.store;
    this.#workflows = parts.workflows;
    this.#topics = parts.topics;
    this.#owner = parts.owner;
  }

  /** Begins with the owner's tasks; from `since` on where the client says what it has seen. */
  open(since: number | undefined, epoch: string | undefined): void {
    this.follow({ kind: "me" }, since, epoch);
  }

  hasRoomFor(topic: Topic): boolean {
    return !isSingle(topic) || this.#single.size < SINGLE_MAX || this.#single.has(nativeOf(topic));
  }

  follow(topic: Topic, since?: number, epoch?: string): void {
    if (topic.kind === "me") this.#me = true;
    else if (topic.kind === "tasks") this.#all = true;
    else this.#single.set(nativeOf(topic), topic);
    if (since === undefined) return this.#refresh();
    if (!this.#canCatchUp(topic, since, epoch)) return this.#reset();
    this.#catchUp(topic, since);
    this.#page();
  }

  unfollow(topic: Topic): void {
    if (topic.kind === "me") this.#me = false;
    else if (topic.kind === "tasks") this.#all = false;
    else this.#single.delete(nativeOf(topic));
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
    if (isSingle(topic)) return true;
    const owner = topic.kind === "me" ? this.#owner.n : undefined;
    const query = { after: since, upTo: this.#store.currentSeq(), owner };
    const tasks = this.#store.countChanged(query, CATCH_UP_MAX + 1);
    return tasks + this.#workflows.countChanged(query, CATCH_UP_MAX + 1) <= CATCH_UP_MAX;
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
    for (const [native, { ownerId }] of this.#single) if (!this.#me || ownerId !== this.#owner.id) cover.add(native);
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
  #sendRows(rows: readonly Word[]): number {
    let sent = 0;
    for (const row of rows) {
      if (sent > 0 && this.#reader.unread() > UNREAD_BYTES) break;
      this.#reader.send(row.text());
      sent += 1;
    }
    return sent;
  }

  #rows(only: Topic | undefined, after: number, upTo: number, limit: number): readonly Word[] {
    const all = only ? only.kind === "tasks" : this.#all;
    if (all) return this.#changed({ after, upTo }, limit);
    const me = only ? only.kind === "me" : this.#me;
    const mine = me ? this.#changed({ after, upTo, owner: this.#owner.n }, limit) : [];
    const others = [...this.#single.values()].filter(({ ownerId }) => !me || ownerId !== this.#owner.id);
    const followed = only ? [only].filter(isSingle) : others;
    return inOrder(
      mine,
      followed.flatMap((topic) => this.#row(topic, after, upTo)),
      limit,
    );
  }

  #changed(query: { after: number; upTo: number; owner?: number }, limit: number): readonly Word[] {
    const tasks = this.#store.changed(query, limit, NOTICE_RESULT_BYTES).map(ofTask);
    return inOrder(tasks, this.#workflows.changed(query, limit).map(ofWorkflow), limit);
  }

  #row({ kind, id }: SingleTopic, after: number, upTo: number): readonly Word[] {
    const found = kind === "task" ? this.#store.get(id) : this.#workflows.get(id);
    if (!found || found.seq <= after || found.seq > upTo) return [];
    if (kind === "workflow") return [ofWorkflow(found as StoredWorkflow)];
    return this.#store.changed({ after: found.seq - 1, upTo: found.seq }, 1, NOTICE_RESULT_BYTES).map(ofTask);
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

const ofTask = (task: ChangedTask): Word => ({
  seq: task.seq,
  text: () => noticeJson(task, task.result, task.truncated, lastChangeAt(task)),
});

const ofWorkflow = (workflow: StoredWorkflow): Word => ({
  seq: workflow.seq,
  text: () => workflowNoticeJson(workflow, workflow.finishedAt ?? workflow.createdAt),
});

/** The first `limit` of two lists, by seq: what lies behind the last of a full list is not known yet. */
function inOrder(some: readonly Word[], others: readonly Word[], limit: number): readonly Word[] {
  return others.length === 0 ? some : [...some, ...others].sort((a, b) => a.seq - b.seq).slice(0, limit);
}

const isSingle = (topic: Topic): topic is SingleTopic => topic.kind === "task" || topic.kind === "workflow";
const nativeOf = ({ kind, id }: SingleTopic): string => nativeTopic[kind](id);
const isSame = (a: Topic, b: Topic): boolean => (isSingle(a) && isSingle(b) ? nativeOf(a) === nativeOf(b) : a.kind === b.kind);
