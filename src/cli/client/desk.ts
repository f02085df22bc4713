import { Api } from "./api.ts";
import { ApiError } from "./http.ts";
import { type KnownTask, KnownTasks } from "./known-tasks.ts";
import { NoticeStream } from "./notices.ts";
import { Interrupted, type Screen } from "./screen.ts";
import { GivenToken, KeptSession, type Session } from "./session.ts";
import type { Notice } from "./shapes.ts";
import { type Look, noticeLine, taskLine } from "./show.ts";
import { describe, reasonOf } from "./trouble.ts";
import type { Language } from "./words.ts";
import type { Words } from "./words-en.ts";

/** So many tasks are asked for, to know what runs and what ids there are. */
const LATEST = 100;
/** What stands above the line is drawn at most so often, in milliseconds. */
const DRAW_MS = 100;

export interface DeskOptions {
  readonly screen: Screen;
  readonly words: Words;
  readonly language: Language;
  /** As `http://HOST:PORT`. */
  readonly server: string;
  /** See `configFolder`. */
  readonly folder: string;
  /** ARTEL_TOKEN. */
  readonly token: string | undefined;
}

/** What the commands of the terminal client work with: the screen, the session, and the user's tasks as they are told of. */
export class Desk {
  readonly screen: Screen;
  readonly words: Words;
  readonly server: string;
  readonly api: Api;
  readonly session: Session;
  readonly tasks = new KnownTasks();
  /** undefined: ARTEL_TOKEN speaks for the user. */
  readonly kept: KeptSession | undefined;
  /** A task that is followed, however old it is. */
  watched: string | undefined;
  /** Of the tasks that the server knows, for completion. */
  taskNames: readonly string[] = [];
  readonly #language: Language;
  readonly #listeners = new Set<() => void>();
  /** What Ctrl-C gives up. */
  readonly #waiting = new Set<() => void>();
  #stream: NoticeStream | undefined;
  /** Whether what was known has been forgotten, and is not known anew yet. */
  #stale = false;
  /** Notices tell of what comes after it; Infinity: of nothing that is known. */
  #since = Number.POSITIVE_INFINITY;
  /** Whose notices are told. */
  #email: string | undefined;
  #panel: () => readonly string[] = () => this.#statusLine();
  #drawing: ReturnType<typeof setTimeout> | undefined;

  constructor({ screen, words, language, server, folder, token }: DeskOptions) {
    this.screen = screen;
    this.words = words;
    this.server = server;
    this.#language = language;
    this.kept = token === undefined ? new KeptSession(folder, server) : undefined;
    this.session = this.kept ?? new GivenToken(token ?? "");
    this.api = new Api(server, this.session);
    screen.onInterrupt = () => {
      for (const giveUp of this.#waiting) giveUp();
    };
  }

  /** Whether the user's tasks are told of, or will be when the server is back. */
  get following(): boolean {
    return this.#stream !== undefined;
  }

  get stale(): boolean {
    return this.#stale;
  }

  get look(): Look {
    const { words, screen } = this;
    return { words, language: this.#language, columns: screen.columns, styled: screen.styled };
  }

  /** Lines of text, wrapped between words. */
  say(...lines: readonly string[]): void {
    const { columns } = this.screen;
    const text = lines.join("\n");
    if (lines.length > 0) this.screen.print(columns === Infinity ? text : Bun.wrapAnsi(text, columns, { trim: false }));
  }

  /**
   * Waits for something that Ctrl-C may give up.
   *
   * @throws Interrupted
   */
  async until<T>(work: Promise<T>): Promise<T> {
    const { promise, reject } = Promise.withResolvers<never>();
    const giveUp = (): void => reject(new Interrupted());
    this.#waiting.add(giveUp);
    return await Promise.race([work, promise]).finally(() => this.#waiting.delete(giveUp));
  }

  /** Tells of the user's tasks from now on. Returns when the connection stands, or cannot be had yet. */
  async follow(): Promise<void> {
    this.unfollow();
    this.#email = this.kept?.email;
    const { promise, resolve } = Promise.withResolvers<void>();
    let opened = false;
    const stream = new NoticeStream(this.server, this.session, {
      opened: (seq) => {
        opened = true;
        this.#since = seq;
        resolve();
      },
      changed: (notice) => this.#changed(notice),
      progressed: (notice) => this.#progressed(notice),
      lost: (error) => {
        if (opened) this.say(this.words.lost(reasonOf(error, this.words)));
        else this.say(...describe(error, this.words), this.words.startServer);
        resolve();
      },
      back: () => {
        this.say(this.words.back);
        if (this.#stale) void this.load();
      },
      reset: () => this.#reset(),
      failed: (error) => {
        this.#end(error);
        resolve();
      },
    });
    this.#stream = stream;
    stream.start();
    await this.until(promise);
    if (this.#stream === stream) await this.until(this.load());
  }

  unfollow(): void {
    this.#stream?.close();
    this.#stream = undefined;
    this.#email = undefined;
    this.tasks.forget();
    this.redraw();
  }

  /** Another process may have ended the session, or opened one. */
  async heed(): Promise<void> {
    const email = this.kept?.email;
    if (this.kept === undefined || email === this.#email) return;
    if (email === undefined) return this.#end(undefined);
    this.say(this.words.takenOver(email));
    await this.follow();
  }

  /** Asks for the latest tasks. What goes wrong with that is seen by the next command, or mended when the server is back. */
  async load(): Promise<void> {
    try {
      await this.learn();
    } catch {
      // A server that is lost again says so by itself.
    }
  }

  /** Asks for the latest tasks, for a command that cannot do without. @throws what the server or the way to it has against it */
  async learn(): Promise<void> {
    const { api, watched } = this;
    const asked = watched === undefined ? undefined : api.task(watched).catch(ifMissing);
    const [{ items }, definitions, task] = await Promise.all([api.list({ limit: LATEST }), api.definitions(), asked]);
    for (const each of task === undefined ? items : [...items, task]) this.tasks.learn(each);
    this.taskNames = definitions.map(({ name }) => name);
    this.#stale = false;
    this.#tell();
  }

  /** Calls at each change of a task, and after the list was loaded again. @returns what ends that */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Whether a task's state has been told, where it will be: an answer can be faster than the notice. */
  isTold(task: KnownTask): boolean {
    return task.seq <= this.#since || this.tasks.isTold(task);
  }

  /** Shows these lines above the line that is typed into, in place of what runs. @returns what ends that */
  showing(panel: () => readonly string[]): () => void {
    const before = this.#panel;
    this.#panel = panel;
    this.#draw();
    return () => {
      this.#panel = before;
      this.#draw();
    };
  }

  /** Draws what stands above the line, now or soon. */
  redraw(): void {
    this.#drawing ??= setTimeout(() => this.#draw(), DRAW_MS);
  }

  #draw(): void {
    clearTimeout(this.#drawing);
    this.#drawing = undefined;
    if (this.screen.interactive) this.screen.panel(this.#panel());
  }

  close(): void {
    clearTimeout(this.#drawing);
    this.#stream?.close();
    this.screen.close();
  }

  /** A request to cancel is a change as well, and shows as nothing new. */
  #changed(notice: Notice): void {
    const news = this.tasks.hearChange(notice);
    this.#draw();
    if (news) this.say(noticeLine(notice, this.look));
    this.#tell();
  }

  #progressed(notice: Notice): void {
    this.tasks.hear(notice);
    this.#tell();
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
    this.redraw();
  }

  /** The numbers of another life of the database say nothing about those that were known. */
  #reset(): void {
    this.say(this.words.reset);
    this.tasks.forget();
    this.#since = Number.POSITIVE_INFINITY;
    this.#stale = true;
    void this.load();
  }

  #end(error: Error | undefined): void {
    this.unfollow();
    this.say(...(error === undefined ? [this.words.sessionEnded] : describe(error, this.words)));
    this.#tell();
  }

  /** What runs, in one line. */
  #statusLine(): string[] {
    const running = this.tasks.running();
    const [newest] = running.toSorted((a, b) => b.seq - a.seq);
    if (newest === undefined) return [];
    const more = running.length > 1 ? ` ${this.words.moreTasks(running.length - 1)}` : "";
    return [`${taskLine(newest, { ...this.look, columns: this.screen.columns - 1 - Bun.stringWidth(more) })}${more}`];
  }
}

/** A task of another life of the database may not be there any more. */
function ifMissing(error: unknown): undefined {
  if (!(error instanceof ApiError && error.status === 404)) throw error;
}
