import { Database } from "bun:sqlite";
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { ArtelError } from "../../domain/errors.ts";
import { ApiError, call, parsed } from "./http.ts";
import type { Tokens } from "./shapes.ts";

/** An access token that ends sooner than this is renewed before it is used, in milliseconds. */
const RENEW_MS = 30_000;
/** Another process that renews a session is waited for so long, in milliseconds, and looked after so often. */
const LOCK_LIMIT_MS = 15_000;
const LOCK_LOOK_MS = 25;

/** Somebody has to log in first. Codes: `no_session`, `session_ended`, `damaged_session`, `bad_token`, `no_place`, `busy`. */
export class NoSession extends ArtelError {
  override readonly name = "NoSession";

  constructor(message: string, code = "no_session") {
    super(code, message);
  }
}

/** What speaks for a user at one server. */
export interface Session {
  /**
   * A token that is good now.
   *
   * @param refused one that the server did not take: another one is needed
   * @throws NoSession, ApiError, Unreachable
   */
  token(refused?: string): Promise<string>;
}

/** A token that was given, as ARTEL_TOKEN: it cannot be renewed. */
export class GivenToken implements Session {
  readonly #token: string;

  constructor(token: string) {
    this.#token = token;
  }

  async token(refused?: string): Promise<string> {
    if (refused === this.#token)
      throw new NoSession("the server does not take this ARTEL_TOKEN: it is wrong, has ended, or was revoked", "bad_token");
    return this.#token;
  }
}

interface Kept {
  readonly email: string;
  readonly access_token: string;
  readonly refresh_token: string;
  /** Of the access token, milliseconds since 1970 UTC by this machine's clock. */
  readonly expires_at: number;
}

/** By server. */
type Book = Readonly<Record<string, Kept>>;

/**
 * The user's folder for settings of this program.
 *
 * @throws NoSession where the system does not say where that would be
 */
export function configFolder(environment: Readonly<Record<string, string | undefined>>): string {
  const { XDG_CONFIG_HOME: xdg, APPDATA: windows, HOME: home, USERPROFILE: profile } = environment;
  if (process.platform === "win32" && windows) return join(windows, "artel");
  if (xdg) return join(xdg, "artel");
  const base = home ?? profile;
  if (!base) throw new NoSession("there is no HOME to keep a session in: set ARTEL_TOKEN, or HOME", "no_place");
  return join(base, ".config", "artel");
}

/**
 * The session that `artel login` keeps in a file that only its user can read, for all commands here. A refresh token is good
 * once, so whoever renews holds the lock and reads the file again first: another process may have been faster.
 */
export class KeptSession implements Session {
  readonly #file: string;
  readonly #server: string;

  /** @param folder see `configFolder` */
  constructor(folder: string, server: string) {
    this.#file = join(folder, "sessions.json");
    this.#server = server;
  }

  /** Who is logged in; undefined: nobody. */
  get email(): string | undefined {
    return this.#read()[this.#server]?.email;
  }

  async token(refused?: string): Promise<string> {
    const kept = this.#need();
    if (isGood(kept, refused)) return kept.access_token;
    return await this.#locked(async () => {
      const now = this.#need();
      if (isGood(now, refused)) return now.access_token;
      return (await this.#renew(now)).access_token;
    });
  }

  /** Takes up a session that has just been opened. */
  async open(email: string, tokens: Tokens): Promise<void> {
    await this.#locked(async () => this.#keep(keptOf(email, tokens)));
  }

  /** Ends the session, at the server and then here: while the server does not answer, it stays. @returns whether there was one */
  async end(): Promise<boolean> {
    return await this.#locked(async () => {
      const kept = this.#read()[this.#server];
      if (!kept) return false;
      await this.#logout(kept);
      this.#keep(undefined);
      return true;
    });
  }

  async #logout(kept: Kept): Promise<void> {
    try {
      const { access_token: token } = isGood(kept) ? kept : await this.#renew(kept);
      await call(this.#server, "/auth/logout", { method: "POST", token });
    } catch (error) {
      // It has ended there already.
      if (!(error instanceof NoSession || (error instanceof ApiError && error.status === 401))) throw error;
    }
  }

  async #renew(kept: Kept): Promise<Kept> {
    try {
      const renewed = await this.#refreshed(kept);
      this.#keep(renewed);
      return renewed;
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 401)) throw error;
      this.#keep(undefined);
      throw this.#noSession("the session has ended", "session_ended");
    }
  }

  async #refreshed({ email, refresh_token }: Kept): Promise<Kept> {
    const tokens = await call(this.#server, "/auth/refresh", { method: "POST", body: { refresh_token } });
    return keptOf(email, tokens as Tokens);
  }

  #need(): Kept {
    const kept = this.#read()[this.#server];
    if (!kept) throw this.#noSession("nobody is logged in");
    return kept;
  }

  #noSession(why: string, code?: string): NoSession {
    return new NoSession(`${why} at ${this.#server}: artel login EMAIL, or set ARTEL_TOKEN`, code);
  }

  #read(): Book {
    let text: string;
    try {
      text = readFileSync(this.#file, "utf8");
    } catch (error) {
      if ((error as { code?: string }).code === "ENOENT") return {};
      throw this.#noPlace(error);
    }
    const book = parsed(text);
    if (isBook(book)) return book;
    throw new NoSession(`${this.#file} is damaged: remove it, and log in again`, "damaged_session");
  }

  /** Written beside and put in place: whoever reads sees the old file or the new one. */
  #keep(kept: Kept | undefined): void {
    const { [this.#server]: _, ...others } = this.#read();
    const book = kept === undefined ? others : { ...others, [this.#server]: kept };
    const next = `${this.#file}.${process.pid}`;
    try {
      writeFileSync(next, `${JSON.stringify(book, null, 2)}\n`, { mode: 0o600 });
      renameSync(next, this.#file);
    } catch (error) {
      throw this.#noPlace(error);
    } finally {
      rmSync(next, { force: true });
    }
  }

  #noPlace(error: unknown): NoSession {
    return new NoSession(`no session can be kept in ${this.#file}: ${(error as Error).message}`, "no_place");
  }

  /** The lock is SQLite's own on a file beside, which the system drops with the process, however that ends. */
  async #locked<T>(work: () => Promise<T>): Promise<T> {
    const lock = this.#openLock();
    try {
      await takeLock(lock);
      return await work();
    } finally {
      lock.close();
    }
  }

  #openLock(): Database {
    const file = `${this.#file}.lock`;
    try {
      mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
      const lock = new Database(file, { create: true });
      chmodSync(file, 0o600);
      lock.run("PRAGMA busy_timeout = 0");
      return lock;
    } catch (error) {
      throw this.#noPlace(error);
    }
  }
}

async function takeLock(lock: Database): Promise<void> {
  for (let waitedMs = 0; ; waitedMs += LOCK_LOOK_MS) {
    try {
      lock.run("BEGIN EXCLUSIVE");
      return;
    } catch (error) {
      if ((error as { code?: string }).code !== "SQLITE_BUSY") throw error;
      if (waitedMs >= LOCK_LIMIT_MS) throw new NoSession("another artel takes too long to renew the session: try again", "busy");
    }
    await Bun.sleep(LOCK_LOOK_MS);
  }
}

const isBook = (book: unknown): book is Book =>
  typeof book === "object" && book !== null && !Array.isArray(book) && Object.values(book).every(isKept);

function isKept(entry: unknown): entry is Kept {
  const { email, access_token, refresh_token, expires_at } = (entry ?? {}) as Partial<Kept>;
  return [email, access_token, refresh_token].every((text) => typeof text === "string") && typeof expires_at === "number";
}

const isGood = (kept: Kept, refused?: string): boolean =>
  kept.access_token !== refused && kept.expires_at - Date.now() > RENEW_MS;

const keptOf = (email: string, { access_token, refresh_token, expires_in }: Tokens): Kept => ({
  email,
  access_token,
  refresh_token,
  expires_at: Date.now() + expires_in * 1_000,
});
