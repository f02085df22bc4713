import type { ProgressReport, Unsubscribe } from "../../ports/broker.ts";
import { Signal } from "../signal.ts";
import type { Link } from "./link.ts";
import type { Client } from "./scripts.ts";

/** How often a subscription shows that its connection is alive, in milliseconds. */
const PING_MS = 3_000;

/** Progress from all workers, over pub/sub on a connection of its own. What comes while it is away is lost, as progress may be. */
export class ProgressChannel {
  readonly #link: Link;
  readonly #onProgress = new Signal<[readonly ProgressReport[]]>();
  #client: Client | undefined;
  #pings: ReturnType<typeof setInterval> | undefined;

  constructor(link: Link) {
    this.#link = link;
  }

  on(listener: (reports: readonly ProgressReport[]) => void): Unsubscribe {
    this.#client ??= this.#subscribe();
    return this.#onProgress.on(listener);
  }

  stop(): void {
    clearInterval(this.#pings);
    this.#client?.disconnect();
  }

  #subscribe(): Client {
    const client = this.#link.connector.connect("artel-progress");
    // What is wrong with the server the link tells.
    client.on("error", () => {});
    client.on("message", (_: string, text: string) => this.#onProgress.emit(JSON.parse(text) as ProgressReport[]));
    const subscribe = (): void => {
      client.subscribe(this.#link.keys.progress).catch(() => {});
    };
    // After a lost connection the client subscribes by itself.
    if (client.status === "ready") subscribe();
    else client.once("ready", subscribe);
    this.#pings = setInterval(() => void client.ping().catch(() => {}), PING_MS);
    return client;
  }
}
