import type { ArtelProcess, Ended, Place } from "../support/artel-process.ts";

/** What a process says of itself once it is ready. */
export interface Up {
  readonly process: ArtelProcess;
  /** Where it answers: `http://HOST:PORT`. */
  readonly url: string;
}

/** Keeps one process of the executable alive: whenever it ends, another one is started, as an init system does. */
export class Keeper {
  readonly lives: ArtelProcess[] = [];
  /** Ends that nobody asked for; tasks that kill their process are no fault. */
  readonly faults: string[] = [];
  readonly #place: Place;
  readonly #args: readonly string[];
  #up = Promise.withResolvers<Up>();
  /** The next life does not begin before. */
  #rest: Promise<void> = Promise.resolve();
  /** Those that were told to drain. */
  readonly #drained = new Set<ArtelProcess>();
  #stopped = false;
  readonly #kept: Promise<void>;

  constructor(place: Place, args: readonly string[]) {
    this.#place = place;
    this.#args = args;
    this.#kept = this.#keep();
    // Whoever waits for the next life is told; so is who stops it.
    this.#kept.catch((error: unknown) => this.#up.reject(error));
    this.#up.promise.catch(() => {});
  }

  /** The present life, or the next one, as soon as it is ready. */
  get up(): Promise<Up> {
    return this.#up.promise;
  }

  get process(): ArtelProcess {
    return this.lives.at(-1) as ArtelProcess;
  }

  /** Ends it, starts the next one after `awayMs`, and waits until that is ready. */
  async again(signal: "SIGKILL" | "SIGTERM", awayMs = 0): Promise<void> {
    await this.#pausing(async () => {
      await this.#end(signal);
      await Bun.sleep(awayMs);
    });
    await this.up;
  }

  /** Kills it, and the next one `afterMs` after its start. */
  async killTwice(afterMs: number): Promise<void> {
    const started = this.lives.length;
    await this.#end("SIGKILL");
    await Bun.sleep(afterMs);
    if (this.lives.length > started) await this.again("SIGKILL");
  }

  async freeze(forMs: number): Promise<void> {
    const { process } = this;
    process.signal("SIGSTOP");
    await Bun.sleep(forMs);
    process.signal("SIGCONT");
  }

  /** Drains it and starts no other. */
  async stop(): Promise<void> {
    this.release();
    await this.#end("SIGTERM");
    await this.#kept;
  }

  /** Starts no other one any more. */
  release(): void {
    this.#stopped = true;
  }

  async #end(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    const { process } = this;
    if (signal === "SIGTERM") this.#drained.add(process);
    await process.end(signal);
  }

  async #pausing(work: () => Promise<void>): Promise<void> {
    const worked = work();
    this.#rest = worked;
    await worked;
  }

  async #keep(): Promise<void> {
    while (!this.#stopped) {
      const process = this.#place.start(this.#args);
      this.lives.push(process);
      const url = await this.#ready(process);
      if (url !== undefined) this.#up.resolve({ process, url });
      const ended = await process.ended;
      if (url !== undefined) {
        this.#up = Promise.withResolvers<Up>();
        this.#up.promise.catch(() => {});
      }
      if (ended.signal !== "SIGKILL" && !(ended.code === 0 && this.#drained.has(process))) {
        if (url === undefined) throw new Error(this.#describe(ended));
        this.faults.push(this.#describe(ended));
      }
      await this.#rest;
    }
  }

  /** Undefined: it ended before. */
  async #ready(process: ArtelProcess): Promise<string | undefined> {
    const find = (): string | undefined => /http:\/\/[^\s/]+:\d+/.exec(process.stdout)?.[0];
    return await process.until(find, "its ready line").catch((error: unknown) => {
      if (process.running) throw error;
      return undefined;
    });
  }

  #describe({ code, signal, stderr }: Ended): string {
    return `artel ${this.#args[0]} ended with ${code ?? signal}: ${stderr.slice(-500)}`;
  }
}
