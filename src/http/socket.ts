import type { ServerWebSocket } from "bun";
import type { Identity } from "../domain/account.ts";
import type { Clock } from "../ports/runtime.ts";
import type { Accounts } from "../services/accounts.ts";
import { type FollowedRows, Follower, type Topic } from "./follower.ts";
import type { Topics } from "./topics.ts";

/** Why the server closes a socket, and with which code. */
const ENDS = {
  /** The token or its session has ended. */
  unauthorized: [4401, "unauthorized"],
  /** The server goes; another one will answer. */
  restart: [1012, "service restart"],
  /** Messages came faster than they could be taken. */
  flooding: [1008, "too many messages"],
} as const;
export type SocketEnd = keyof typeof ENDS;

/** Frames that may wait while one is being taken. */
const WAITING_MAX = 100;
/** setTimeout takes no longer waits, in milliseconds. */
const MAX_TIMER_MS = 2 ** 31 - 1;

interface Parts extends FollowedRows {
  readonly ws: ServerWebSocket<unknown>;
  readonly accounts: Pick<Accounts, "authenticate" | "holdSession" | "find">;
  readonly topics: Topics;
  readonly clock: Clock;
  readonly identity: Identity;
  readonly onEnd: (socket: NoticeSocket) => void;
}

const SINGLE_TOPIC = /^(task|workflow):(.*)$/s;

type Message = Readonly<Record<string, unknown>>;

/** One client's connection: its messages, its topics, its end. */
export class NoticeSocket {
  readonly #parts: Parts;
  readonly #follower: Follower;
  #identity: Identity;
  #release: () => void;
  #expiry: ReturnType<typeof setTimeout> | undefined;
  /** Messages are taken one after the other, also where one of them waits for its token to be checked. */
  #busy = false;
  #waiting: (string | Buffer)[] = [];
  #open = true;

  constructor(parts: Parts) {
    const { ws, accounts, store, workflows, topics, identity } = parts;
    this.#parts = parts;
    this.#identity = identity;
    this.#release = accounts.holdSession(identity.sessionId);
    this.#follower = new Follower({
      store,
      workflows,
      topics,
      owner: { n: identity.accountKey, id: identity.accountId },
      reader: {
        send: (text) => void ws.send(text),
        subscribe: (topic) => ws.subscribe(topic),
        unsubscribe: (topic) => {
          if (this.#open) ws.unsubscribe(topic);
        },
        unread: () => ws.getBufferedAmount(),
      },
    });
  }

  get sessionId(): string {
    return this.#identity.sessionId;
  }

  open(since: number | undefined, epoch: string | undefined): void {
    this.#send({
      type: "ready",
      user_id: this.#identity.accountId,
      epoch: this.#parts.store.epoch,
      seq: this.#parts.store.currentSeq(),
    });
    this.#expireLater();
    this.#follower.open(since, epoch);
  }

  receive(frame: string | Buffer): void {
    if (!this.#busy) this.#run(frame);
    else if (this.#waiting.push(frame) > WAITING_MAX) this.end("flooding");
  }

  drained(): void {
    this.#follower.drained();
  }

  /** Closes from this side. */
  end(why: SocketEnd): void {
    const [code, reason] = ENDS[why];
    this.#parts.ws.close(code, reason);
  }

  closed(): void {
    this.#open = false;
    clearTimeout(this.#expiry);
    this.#release();
    this.#follower.close();
    this.#parts.onEnd(this);
  }

  #run(frame: string | Buffer): void {
    const taking = this.#take(frame);
    if (!taking) return;
    this.#busy = true;
    void taking.finally(() => {
      this.#busy = false;
      for (let next = this.#waiting.shift(); next !== undefined; next = this.#busy ? undefined : this.#waiting.shift())
        this.#run(next);
    });
  }

  #take(frame: string | Buffer): Promise<void> | undefined {
    if (!this.#open) return undefined;
    if (frame === "ping") return this.#send({ type: "pong" });
    const message = typeof frame === "string" ? parse(frame) : undefined;
    switch (message?.["type"]) {
      case "ping":
        return this.#send({ type: "pong" });
      case "subscribe":
        return this.#subscribe(message);
      case "unsubscribe":
        return this.#unsubscribe(message);
      case "auth":
        return this.#renew(message);
      default:
        return this.#refuse("bad_message", "send one JSON object of a known type in a text frame");
    }
  }

  #subscribe(message: Message): undefined {
    const { since, epoch } = message;
    if ((since !== undefined && !isSeq(since)) || (epoch !== undefined && typeof epoch !== "string")) {
      return this.#refuse("bad_message", "since must be a seq, epoch a string");
    }
    if (typeof message["topic"] !== "string") return this.#refuse("bad_message", "topic must be a string");
    const topic = this.#topic(message["topic"]);
    if (!topic) return this.#refuseTopic(message["topic"]);
    if (!this.#follower.hasRoomFor(topic)) return this.#refuse("too_many_topics", "follow `me` instead of so many single tasks");
    this.#send({ type: "subscribed", topic: message["topic"] });
    this.#follower.follow(topic, since, epoch);
  }

  #unsubscribe(message: Message): undefined {
    if (typeof message["topic"] !== "string") return this.#refuse("bad_message", "topic must be a string");
    const topic = this.#topic(message["topic"]);
    if (!topic) return this.#refuseTopic(message["topic"]);
    this.#follower.unfollow(topic);
    this.#send({ type: "unsubscribed", topic: message["topic"] });
  }

  async #renew(message: Message): Promise<void> {
    const token = message["token"];
    try {
      const identity = await this.#parts.accounts.authenticate(typeof token === "string" ? token : "");
      if (!this.#open) return;
      if (identity.accountId !== this.#identity.accountId) return this.end("unauthorized");
      this.#release();
      this.#identity = identity;
      this.#release = this.#parts.accounts.holdSession(identity.sessionId);
      this.#expireLater();
      this.#send({ type: "authenticated", expires_at: new Date(identity.expiresAt).toISOString() });
    } catch {
      this.end("unauthorized");
    }
  }

  /** The topic that a client means, if it may follow it; undefined otherwise. */
  #topic(name: string): Topic | undefined {
    if (name === "me") return { kind: "me" };
    if (name === "tasks") return this.#isAdmin() ? { kind: "tasks" } : undefined;
    const [, kind, id = ""] = SINGLE_TOPIC.exec(name) ?? [];
    const found = kind === "task" ? this.#parts.store.get(id) : this.#parts.workflows.get(id);
    if (!found || (found.owner !== this.#identity.accountKey && !this.#isAdmin())) return undefined;
    return { kind: kind === "task" ? "task" : "workflow", id: found.id, ownerId: found.ownerId };
  }

  /** As it is now: the role may have changed since the handshake. */
  #isAdmin(): boolean {
    return this.#parts.accounts.find(this.#identity.accountId)?.role === "admin";
  }

  #refuseTopic(topic: string): undefined {
    // What does not exist is not told apart from what is somebody else's.
    this.#send({ type: "error", code: "forbidden", message: "no such topic, or not yours", topic });
  }

  #refuse(code: string, message: string): undefined {
    this.#send({ type: "error", code, message });
  }

  #send(message: object): undefined {
    this.#parts.ws.send(JSON.stringify(message));
  }

  #expireLater(): void {
    clearTimeout(this.#expiry);
    const leftMs = this.#identity.expiresAt - this.#parts.clock.now();
    this.#expiry = setTimeout(
      () => (leftMs > MAX_TIMER_MS ? this.#expireLater() : this.end("unauthorized")),
      Math.min(leftMs, MAX_TIMER_MS),
    );
  }
}

function parse(text: string): Message | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Message) : undefined;
  } catch {
    return undefined;
  }
}

const isSeq = (value: unknown): value is number => typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
