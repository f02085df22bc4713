import type { Entry } from "./events.ts";
import type { Link } from "./link.ts";
import type { Client } from "./scripts.ts";

/** Longest wait of one blocking command, in milliseconds. */
export const BLOCK_MS = 2_000;
/** One that takes so much longer than it said is stuck: its connection is replaced, in milliseconds. */
const STUCK_MS = 1_500;

/** A connection of its own that waits for new entries of streams, with a watchdog over every wait. */
export class Blocking {
  readonly #client: Client;
  #stopped = false;

  constructor(link: Link, name: string) {
    this.#client = link.connector.connect(name, { silenceMs: BLOCK_MS + STUCK_MS });
    // What is wrong with the server the link tells.
    this.#client.on("error", () => {});
  }

  /**
   * Waits for entries behind `after`.
   *
   * @returns them, or none when the time is up or the connection failed
   */
  async wait(stream: string, after: string, limitMs = BLOCK_MS): Promise<readonly Entry[]> {
    if (this.#stopped) return [];
    const watchdog = setTimeout(() => this.#client.disconnect(true), limitMs + STUCK_MS);
    try {
      const answer = (await this.#client.xread("COUNT", 64, "BLOCK", limitMs, "STREAMS", stream, after)) as
        | [string, Entry[]][]
        | null;
      return answer?.[0]?.[1] ?? [];
    } catch {
      await this.#rest();
      return [];
    } finally {
      clearTimeout(watchdog);
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#client.disconnect();
  }

  /** Until the connection may be there again: at once when it is, else with the link, within half a second. */
  async #rest(): Promise<void> {
    if (this.#stopped) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, 500);
    this.#client.once("ready", resolve);
    await promise;
    clearTimeout(timer);
    this.#client.off("ready", resolve);
  }
}
