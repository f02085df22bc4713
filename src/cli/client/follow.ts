import type { Api } from "./api.ts";
import { ApiError, Unreachable } from "./http.ts";
import { NoticeStream } from "./notices.ts";
import { hasEnded, type Notice, type TaskView } from "./shapes.ts";
import { WhyQueued } from "./why-queued.ts";

/** A server that could not be asked is asked again after so long, in milliseconds. */
const AGAIN_MS = 1_000;

/** What is told on the way; `changed` for each stored transition, `progressed` in between. */
export interface Listener {
  changed(task: TaskView | Notice): void;
  progressed(notice: Notice): void;
  /** It is queued for long, and this is why; undefined: the server does not say, or it is no more. Comes again while it stays so. */
  waits(why: string | undefined): void;
  lost(reason: Error): void;
  back(): void;
}

/** So many tasks are remembered that were heard of before it was known which one is meant. */
const EARLY_MAX = 1_000;

/** Follows one task to its end, whatever happens to the connection. Made before the task is, it misses nothing of it. */
export class Following {
  /** Notices come, or cannot be had for now. Rejects where they never will be. */
  readonly ready: Promise<void>;
  /** The task as it ended. Rejects with ApiError or NoSession where it cannot be followed any more. */
  readonly ended: Promise<TaskView>;
  readonly #api: Api;
  readonly #listener: Listener;
  readonly #ready = Promise.withResolvers<void>();
  readonly #end = Promise.withResolvers<TaskView>();
  readonly #stream: NoticeStream;
  /** The latest of each task, until it is known which one is meant. */
  readonly #early = new Map<string, Notice>();
  #id: string | undefined;
  readonly #why: WhyQueued;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #seq = 0;
  #over = false;
  #cancelling = false;

  constructor(api: Api, listener: Listener) {
    this.#api = api;
    this.#listener = listener;
    this.ready = this.#ready.promise;
    this.ended = this.#end.promise;
    this.#why = new WhyQueued(
      () => api.task(this.#id as string),
      (why) => listener.waits(why),
    );
    // It may fail before anybody waits for it.
    this.ended.catch(() => undefined);
    const look = (): void => void this.#look();
    this.#stream = new NoticeStream(api.server, api.session, {
      opened: () => this.#ready.resolve(),
      reset: look,
      changed: (notice) => this.#changed(notice),
      progressed: (notice) => this.#progressed(notice),
      lost: (error) => {
        listener.lost(error);
        this.#ready.resolve();
      },
      back: () => {
        listener.back();
        look();
      },
      failed: (error) => this.#fail(error),
    });
    this.#stream.start();
  }

  /** Says which task is meant. */
  follow(id: string): void {
    this.#id = id;
    const early = this.#early.get(id);
    this.#early.clear();
    if (early) this.#changed(early);
    void this.#look();
  }

  /** Asks the server to cancel it, again after a lost connection. */
  cancel(): void {
    this.#cancelling = true;
    void this.#look();
  }

  /** Follows no longer. */
  close(): void {
    this.#over = true;
    clearTimeout(this.#timer);
    this.#why.stop();
    this.#stream.close();
  }

  /** The task itself tells what no notice does: an end that was missed, and a result that is too long. */
  async #look(): Promise<void> {
    clearTimeout(this.#timer);
    if (this.#over || this.#id === undefined) return;
    try {
      const task = await this.#ask(this.#id);
      // Why it waits is told once it does so for a while.
      const { waiting: _, ...state } = task;
      this.#tell(state);
      if (hasEnded(task)) this.#end.resolve(task);
    } catch (error) {
      if (!isPassing(error)) return this.#fail(error);
      clearTimeout(this.#timer);
      if (!this.#over) this.#timer = setTimeout(() => void this.#look(), AGAIN_MS);
    }
  }

  async #ask(id: string): Promise<TaskView> {
    const task = await this.#api.task(id);
    if (!this.#cancelling || hasEnded(task)) return task;
    try {
      const cancelled = await this.#api.cancel(id);
      this.#cancelling = false;
      return cancelled;
    } catch (error) {
      // It has ended meanwhile.
      if (error instanceof ApiError && error.status === 409) return await this.#api.task(id);
      throw error;
    }
  }

  #changed(notice: Notice): void {
    if (this.#id === undefined) return this.#keep(notice);
    if (notice.task_id !== this.#id) return;
    if (hasEnded(notice)) void this.#look();
    else this.#tell(notice);
  }

  #progressed(notice: Notice): void {
    if (this.#id === undefined) return this.#keep(notice);
    if (notice.task_id === this.#id && !this.#over) this.#listener.progressed(notice);
  }

  #keep(notice: Notice): void {
    if (this.#early.size < EARLY_MAX || this.#early.has(notice.task_id)) this.#early.set(notice.task_id, notice);
  }

  #tell(task: TaskView | Notice): void {
    if (this.#over || task.seq <= this.#seq) return;
    this.#seq = task.seq;
    this.#listener.changed(task);
    this.#why.heed(task.status);
  }

  #fail(error: unknown): void {
    this.#end.reject(error);
    this.#ready.reject(error);
  }
}

/** The server is away, or has no time: it will answer later. */
const isPassing = (error: unknown): boolean =>
  error instanceof Unreachable || (error instanceof ApiError && (error.status >= 500 || error.status === 429));
