import type { Notifier } from "../ports/notices.ts";
import type { StoredTask, TaskStore, Transaction } from "../ports/tasks.ts";
import type { Dispatcher } from "./dispatcher.ts";

export interface Change {
  readonly before: StoredTask;
  after: StoredTask;
  result: string | null;
}

/** What changes of workflows' members bring about, within the transaction that stores them. */
export interface MemberRules {
  begin(transitions: Transitions, tx: Transaction): MemberChanges;
}

export interface MemberChanges {
  /** These have been written; what follows from them is staged. */
  follow(changes: readonly Change[]): void;
  /** Nothing more follows. */
  store(): void;
}

/**
 * The transitions of one transaction. A task that changes more than once in it (started, done) is written once, while
 * its owner still hears of each step, in seq order, after the commit.
 */
export class Transitions {
  readonly #store: TaskStore;
  readonly #dispatcher: Dispatcher;
  readonly #notifier: Notifier;
  readonly #members: MemberRules;
  readonly #tx: Transaction;
  #changes = new Map<string, Change>();

  constructor(parts: { store: TaskStore; dispatcher: Dispatcher; notifier: Notifier; members: MemberRules }, tx: Transaction) {
    this.#store = parts.store;
    this.#dispatcher = parts.dispatcher;
    this.#notifier = parts.notifier;
    this.#members = parts.members;
    this.#tx = tx;
  }

  /** The task as this transaction has it by now. */
  get(id: string): StoredTask | undefined {
    return this.#changes.get(id)?.after ?? this.#store.get(id);
  }

  /** Takes a transition up: renews seq, dispatches what queues again, and tells the owner once it is stored. */
  stage(before: StoredTask, next: StoredTask, result: string | null, at: number): StoredTask {
    const seq = this.#store.nextSeq();
    const after = { ...this.#dispatcher.place(next), seq };
    const change = this.#changes.get(before.id);
    if (change) {
      change.after = after;
      change.result = result;
    } else {
      this.#changes.set(before.id, { before, after, result });
    }
    this.#tx.afterCommit(() => this.#notifier.transition(after, result, at));
    return after;
  }

  /** Writes what was staged, and what follows from it for other members of the same workflows. */
  store(): void {
    let members: MemberChanges | undefined;
    while (this.#changes.size > 0) {
      const changes = [...this.#changes.values()];
      this.#changes = new Map();
      for (const change of changes) this.#write(change);
      const moved = changes.filter(({ after }) => after.workflow !== null);
      if (moved.length === 0) break;
      members ??= this.#members.begin(this, this.#tx);
      members.follow(moved);
    }
    members?.store();
  }

  #write({ before, after, result }: Change): void {
    if (after.status === "done") this.#store.complete(before, after, result ?? "null");
    else this.#store.update(before, after);
    this.#dispatcher.follow(this.#tx, before, after);
  }
}
