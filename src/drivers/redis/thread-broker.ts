import type { Clock, Log, Random } from "../../ports/runtime.ts";
import { RedisClaims } from "./claims.ts";
import { Keys } from "./keys.ts";
import { Link } from "./link.ts";
import { connector } from "./url.ts";

interface Parts {
  readonly url: string;
  readonly namespace: string;
  readonly clock: Clock;
  readonly random: Pick<Random, "uuid">;
  readonly log: Log;
}

/** A worker thread's own connection. It lasts as long as the thread. */
export class RedisThreadBroker extends RedisClaims {
  readonly #link: Link;

  constructor({ url, namespace, ...parts }: Parts) {
    const link = new Link({ connector: connector(url), keys: new Keys(namespace), ...parts });
    super(link);
    this.#link = link;
  }

  onReady(listener: () => void): void {
    this.#link.onReady(listener);
  }
}
