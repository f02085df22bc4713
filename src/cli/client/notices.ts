import { ApiError, Unreachable } from "./http.ts";
import { NoSession, type Session } from "./session.ts";
import type { Notice } from "./shapes.ts";

/** Between tries to come back: from this, doubled each time, up to that, in milliseconds, less a random part. */
const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 10_000;
/** A server that says nothing at all for so long is taken for lost, in milliseconds; it is asked once in between. */
const SILENCE_MS = 20_000;
/** The access token ended. */
const TOKEN_ENDED = 4401;

export interface NoticeListener {
  /** A task has changed; each stored transition once, in the order of `seq`. */
  changed(notice: Notice): void;
  /** Progress in between. */
  progressed(notice: Notice): void;
  /** The first connection stands; it tells of what comes after `seq`. */
  opened?(seq: number): void;
  /** The server is gone: said once until it is back. */
  lost(error: Error): void;
  /** It is back, and what changed meanwhile follows. */
  back(): void;
  /** Too much has changed to be told: lists are to be loaded again. */
  reset(): void;
  /** It cannot go on: the session has ended, or the server refuses. */
  failed(error: Error): void;
}

type Message =
  | { readonly type: "ready"; readonly seq: number; readonly epoch: string }
  | { readonly type: "caught_up"; readonly seq: number }
  | { readonly type: "reset" }
  | ({ readonly type: "task" } & Notice)
  | { readonly type: "workflow"; readonly seq: number }
  | { readonly type: "pong" | "subscribed" | "unsubscribed" | "error" };

/** Follows the user's tasks over a WebSocket that is made again whenever it is lost; nothing is missed and nothing told twice. */
export class NoticeStream {
  readonly #url: string;
  readonly #server: string;
  readonly #session: Session;
  readonly #listener: NoticeListener;
  #socket: WebSocket | undefined;
  /** The last stored transition that was told of, and in which life of the database. */
  #seen: { seq: number; epoch: string } | undefined;
  /** What a `reset` leaves to the lists. */
  #readySeq = 0;
  #lost = false;
  #waitMs = FIRST_WAIT_MS;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #silence: ReturnType<typeof setTimeout> | undefined;
  #refused: string | undefined;
  #closed = false;

  /** @param server as `http://HOST:PORT` */
  constructor(server: string, session: Session, listener: NoticeListener) {
    this.#server = server;
    this.#url = `${server.replace(/^http/, "ws")}/ws/notifications`;
    this.#session = session;
    this.#listener = listener;
  }

  start(): void {
    void this.#connect();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#silence);
    this.#socket?.close();
  }

  async #connect(): Promise<void> {
    let token: string;
    try {
      token = await this.#session.token(this.#refused);
    } catch (error) {
      return this.#couldNot(error as Error);
    }
    if (this.#closed) return;
    const seen = this.#seen;
    const since = seen ? `?since=${seen.seq}&epoch=${encodeURIComponent(seen.epoch)}` : "";
    const socket = new WebSocket(`${this.#url}${since}`, { headers: { authorization: `Bearer ${token}` } });
    this.#socket = socket;
    socket.onopen = () => {
      this.#refused = undefined;
    };
    socket.onmessage = ({ data }) => this.#take(JSON.parse(String(data)) as Message);
    socket.onclose = ({ code }) => this.#ended(socket, code, token);
    this.#listen();
  }

  #take(message: Message): void {
    this.#listen();
    switch (message.type) {
      case "ready":
        return this.#ready(message.seq, message.epoch);
      case "reset":
        this.#see(this.#readySeq);
        return this.#listener.reset();
      case "caught_up":
      case "workflow":
        return this.#see(message.seq);
      case "task":
        return this.#tell(message);
    }
  }

  #ready(seq: number, epoch: string): void {
    this.#waitMs = FIRST_WAIT_MS;
    this.#readySeq = seq;
    if (this.#seen === undefined) this.#listener.opened?.(seq);
    if (this.#seen?.epoch !== epoch) this.#seen = { seq, epoch };
    if (this.#lost) this.#listener.back();
    this.#lost = false;
  }

  /** A stored transition has a seq that was not seen before; progress repeats its task's. */
  #tell(notice: Notice): void {
    if (notice.seq <= (this.#seen?.seq ?? 0)) return this.#listener.progressed(notice);
    this.#see(notice.seq);
    this.#listener.changed(notice);
  }

  #see(seq: number): void {
    if (this.#seen) this.#seen.seq = Math.max(this.#seen.seq, seq);
  }

  #ended(socket: WebSocket, code: number, token: string): void {
    clearTimeout(this.#silence);
    if (this.#closed || this.#socket !== socket) return;
    this.#socket = undefined;
    // The session may be good for another token.
    if (code === TOKEN_ENDED) {
      this.#refused = token;
      void this.#connect();
      return;
    }
    void this.#whyRefused(token).then((error) => this.#couldNot(error));
  }

  /** A handshake that fails does not say why; the same token at another place does. */
  async #whyRefused(token: string): Promise<Error> {
    try {
      const { status } = await fetch(`${this.#server}/auth/me`, {
        headers: { authorization: `Bearer ${token}` },
        signal: AbortSignal.timeout(LONGEST_WAIT_MS),
      });
      if (status === 401) this.#refused = token;
      return new Unreachable(this.#server, new Error("the connection for notices was closed"));
    } catch (cause) {
      return new Unreachable(this.#server, cause);
    }
  }

  #couldNot(error: Error): void {
    if (this.#closed) return;
    if (error instanceof NoSession || (error instanceof ApiError && error.status < 500 && error.status !== 429)) {
      this.#closed = true;
      return this.#listener.failed(error);
    }
    if (!this.#lost) this.#listener.lost(error);
    this.#lost = true;
    this.#timer = setTimeout(() => void this.#connect(), this.#waitMs * (0.5 + Math.random() / 2));
    this.#waitMs = Math.min(LONGEST_WAIT_MS, this.#waitMs * 2);
  }

  /** A connection that is dead without a word is found by asking. */
  #listen(): void {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => {
      if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send("ping");
      this.#silence = setTimeout(() => this.#socket?.terminate(), SILENCE_MS / 2);
    }, SILENCE_MS / 2);
  }
}
