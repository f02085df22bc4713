import { StartupError, Unavailable } from "../../domain/errors.ts";
import type { Unsubscribe } from "../../ports/broker.ts";
import type { Clock, Log, Random } from "../../ports/runtime.ts";
import { Signal } from "../signal.ts";
import { explain, isLasting } from "./explain.ts";
import type { Keys } from "./keys.ts";
import { type Client, defineScripts, runScript, type ScriptName } from "./scripts.ts";
import { refusal, type ServerInfo, serverInfo } from "./server-info.ts";
import type { Connector } from "./url.ts";

/** After a greeting that failed on a standing connection (a replica, one that loads its data), in milliseconds. */
const GREET_AGAIN_MS = 300;
/** After one that was refused, in milliseconds. */
const REFUSED_MS = 3_000;

/** Before every entry of a stream. */
const NO_ENTRY = "0-0";

export interface LinkParts {
  readonly connector: Connector;
  readonly keys: Keys;
  /** The data directory that the namespace is to belong to; undefined: a worker, which owns none. */
  readonly owner?: string | undefined;
  /** The epoch of its rows: where they went back to a backup, what Redis holds for them is nothing any more. */
  readonly rows?: string | undefined;
  readonly clock: Clock;
  readonly random: Pick<Random, "uuid">;
  readonly log: Log;
}

/**
 * The connection for commands: greets the server whenever it connects, knows which life of the data it speaks to, and
 * fails at once where nobody answers.
 */
export class Link {
  readonly keys: Keys;
  readonly clock: Clock;
  readonly connector: Connector;
  readonly log: Log;
  readonly #parts: LinkParts;
  readonly #client: Client;
  readonly #onReady = new Signal<[]>();
  readonly #onStop = new Signal<[]>();
  #epoch = "";
  #signalsFrom = NO_ENTRY;
  #ready = false;
  #everReady = false;
  #trouble = "not connected yet";
  #fatal: StartupError | undefined;
  /** The latest error of the connection itself. */
  #lastError: string | undefined;
  #firstVerdict = Promise.withResolvers<void>();
  #again: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;
  /** Complaints that were made since it last became ready: each once. */
  readonly #complaints = new Set<string>();
  /** The policy that was warned of. */
  #evicts: string | undefined;

  constructor(parts: LinkParts) {
    this.#parts = parts;
    this.keys = parts.keys;
    this.clock = parts.clock;
    this.connector = parts.connector;
    this.log = parts.log;
    this.#client = parts.connector.connect("artel");
    defineScripts(this.#client);
    this.#client.on("ready", () => void this.#greet());
    this.#client.on("error", (error: Error) => this.#failed(error));
    this.#client.on("close", () => this.#lost());
    this.#client.on("end", () => this.#lost());
  }

  /** The channel for progress. */
  get progress(): string {
    return this.keys.progress(this.connector.database);
  }

  get epoch(): string {
    return this.#epoch;
  }

  /** The latest signal when the server was greeted: what came since has still to be heeded. */
  get signalsFrom(): string {
    return this.#signalsFrom;
  }

  get ready(): boolean {
    return this.#ready;
  }

  /** Why it cannot be used now; undefined: it can. */
  get trouble(): string | undefined {
    return this.#ready ? undefined : this.#trouble;
  }

  /** What stays wrong however often it is tried: a password, a version, somebody else's namespace. */
  get fatal(): StartupError | undefined {
    return this.#fatal;
  }

  /** Resolves once it is known whether the server can be used, or when the time is up. */
  async verdict(limitMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, limitMs);
    await Promise.race([this.#firstVerdict.promise, promise]);
    clearTimeout(timer);
  }

  /** Calls whenever the server can be used (again), and when the data has begun another life: what was sent may be gone. */
  onReady(listener: () => void): Unsubscribe {
    return this.#onReady.on(listener);
  }

  /** Resolves when it is ready, at the latest after `limitMs`. */
  async whenReady(limitMs: number): Promise<void> {
    if (this.#ready || this.#stopped) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, limitMs);
    const unsubscribe = [this.onReady(resolve), this.#onStop.on(resolve)];
    await promise;
    for (const each of unsubscribe) each();
    clearTimeout(timer);
  }

  /**
   * Runs a script with the namespace's prefix as its key and a fresh epoch as its first argument.
   *
   * @returns its answer without the epoch
   * @throws Unavailable `redis_unavailable`
   */
  async run(name: ScriptName, args: readonly (string | number)[]): Promise<unknown[]> {
    const [epoch, ...rest] = await this.call(() =>
      runScript(this.#client, name, [this.keys.prefix, this.#parts.random.uuid(), ...args]),
    );
    this.#note(String(epoch));
    return rest;
  }

  /** Runs a plain command. @throws Unavailable `redis_unavailable` */
  async call<T>(command: (client: Client) => Promise<T>): Promise<T> {
    if (!this.#ready) throw this.#unavailable(undefined);
    try {
      return await command(this.#client);
    } catch (error) {
      this.#doubt(error as Error);
      throw this.#unavailable(error);
    }
  }

  /** Logs what went wrong, once in each life of the connection. */
  complain(what: string, error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    const complaint = `${what}: ${message}`;
    if (this.#stopped || this.#complaints.has(complaint) || !this.#ready) return;
    this.#complaints.add(complaint);
    this.log.warn(what, { error: message });
  }

  stop(): void {
    this.#stopped = true;
    this.#ready = false;
    clearTimeout(this.#again);
    this.#client.disconnect();
    this.#onStop.emit();
  }

  async #greet(): Promise<void> {
    clearTimeout(this.#again);
    if (this.#stopped || this.#client.status !== "ready") return;
    const { owner = "", rows = "", random } = this.#parts;
    const { database } = this.connector;
    try {
      // Where the server has no such database the client goes on in number 0.
      if (database > 0) await this.#client.select(database);
      const answer = await runScript(this.#client, "open", [this.keys.prefix, this.keys.owner, random.uuid(), owner, rows]);
      const [epoch, belongsTo, text, signal, worksFor] = answer.map(String) as [string, string, string, string, string];
      const info = serverInfo(text);
      // One that has just been the master is not asked to write by a greeting.
      if (info.replica) throw new Error("READONLY");
      const refused = refusal(info) ?? this.#foreign(owner, belongsTo) ?? this.#outdated(rows, worksFor);
      if (refused !== undefined) return this.#refuse(refused);
      this.#warnOf(info);
      this.#signalsFrom = signal;
      this.#becomeReady(epoch);
    } catch (error) {
      this.#failed(error as Error);
      // The connection stands: a replica may become the master, and what loads its data is done some time.
      this.#greetAgain(GREET_AGAIN_MS);
    }
  }

  #greetAgain(afterMs: number): void {
    clearTimeout(this.#again);
    if (!this.#stopped && this.#client.status === "ready") this.#again = setTimeout(() => void this.#greet(), afterMs);
  }

  /** Some only a command tells: a cluster goes on without the node of this namespace, a master becomes a replica. */
  #doubt(error: Error): void {
    const answered = error.name === "ReplyError" && !error.message.startsWith("READONLY");
    if (answered || !this.#ready || this.#client.status !== "ready") return;
    this.#lastError ??= explain(error);
    this.#lost();
    this.#greetAgain(GREET_AGAIN_MS);
  }

  #warnOf({ evicts }: ServerInfo): void {
    if (evicts !== undefined && evicts !== this.#evicts) {
      this.log.warn("Redis throws data away when its memory is full: set maxmemory-policy to noeviction", { policy: evicts });
    }
    this.#evicts = evicts;
  }

  #foreign(owner: string, belongsTo: string): string | undefined {
    if (owner === "" || belongsTo === "" || belongsTo === owner) return undefined;
    return "the namespace belongs to another data directory: give this server a --namespace of its own";
  }

  #outdated(rows: string, worksFor: string): string | undefined {
    if (rows === "" || worksFor === rows) return undefined;
    return "the namespace works for a restored copy of this data directory: give this server a --namespace of its own";
  }

  #becomeReady(epoch: string): void {
    if (this.#stopped) return;
    const back = this.#everReady && !this.#ready;
    this.#ready = true;
    this.#fatal = undefined;
    this.#lastError = undefined;
    this.#complaints.clear();
    if (back) this.log.info("Redis is back", { redis: this.connector.label });
    this.#everReady = true;
    this.#epoch = epoch;
    this.#firstVerdict.resolve();
    this.#onReady.emit();
  }

  /** The data may have begun another life without any connection being lost (FLUSHALL). */
  #note(epoch: string): void {
    if (epoch === this.#epoch || !this.#ready) return;
    this.log.warn("Redis has lost its data: it is fed again", { redis: this.connector.label });
    this.#epoch = epoch;
    // It has forgotten too whose namespace it is. Once that is settled, those who feed it are called.
    void this.#greet();
  }

  #refuse(reason: string): void {
    this.#fatal = new StartupError("redis_refused", `cannot use ${this.connector.label}: ${reason}`);
    this.#ready = false;
    this.#tellTrouble(reason);
    this.#firstVerdict.resolve();
    this.#greetAgain(REFUSED_MS);
  }

  #failed(error: Error): void {
    const reason = explain(error);
    this.#lastError = reason;
    if (isLasting(error)) {
      this.#fatal = new StartupError("redis_refused", `cannot use ${this.connector.label}: ${reason}`);
    }
    if (!this.#ready) this.#tellTrouble(reason);
    this.#firstVerdict.resolve();
  }

  #lost(): void {
    const was = this.#ready;
    this.#ready = false;
    clearTimeout(this.#again);
    if (was) this.#tellTrouble(this.#lastError ?? "the connection was lost");
  }

  /** Once for each reason in a row. */
  #tellTrouble(reason: string): void {
    this.#trouble = reason;
    if (this.#stopped || this.#complaints.has(reason)) return;
    this.#complaints.add(reason);
    this.log.warn("Redis is out of reach", { redis: this.connector.label, reason });
  }

  #unavailable(cause: unknown): Unavailable {
    const reason = cause === undefined ? this.#trouble : explain(cause as Error);
    return new Unavailable("redis_unavailable", `Redis cannot be used: ${reason}`, { cause });
  }
}
