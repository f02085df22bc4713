import type { ProgressReport, Unsubscribe } from "../../ports/broker.ts";
import { Signal } from "../signal.ts";
import type { Link } from "./link.ts";
import type { Client } from "./scripts.ts";

/** How often it subscribes anew, in milliseconds: that shows that the connection is alive, and costs nothing. */
const EVERY_MS = 3_000;

/** Progress from all workers, over pub/sub on a connection of its own. What comes while it is away is lost, as progress may be. */
export class ProgressChannel {
  readonly #link: Link;
  readonly #onProgress = new Signal<[readonly ProgressReport[]]>();
  #client: Client | undefined;
  #subscribing: ReturnType<typeof setInterval> | undefined;

  constructor(link: Link) {
    this.#link = link;
  }

  on(listener: (reports: readonly ProgressReport[]) => void): Unsubscribe {
    this.#client ??= this.#subscribe();
    return this.#onProgress.on(listener);
  }

  stop(): void {
    clearInterval(this.#subscribing);
    this.#client?.disconnect();
  }

  #subscribe(): Client {
    const client = this.#link.connector.connect("artel-progress");
    // What is wrong with the server the link tells.
    client.on("error", () => {});
    client.on("message", (_: string, text: string) => this.#onProgress.emit(JSON.parse(text) as ProgressReport[]));
    const subscribe = (): void => {
      client.subscribe(this.#link.progress).catch(() => {});
    };
    client.on("ready", subscribe);
    this.#subscribing = setInterval(subscribe, EVERY_MS);
    return client;
  }
}
