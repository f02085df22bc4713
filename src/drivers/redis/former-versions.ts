import type { Link } from "./link.ts";

/**
 * What servers of other versions have left in the namespace, removed when this one has taken it: all of it is in the rows, from
 * which it is fed again. Workers of those versions that still run find nothing more to take, and end what they have.
 */
export class FormerVersions {
  readonly #link: Link;
  #swept = false;

  constructor(link: Link) {
    this.#link = link;
    link.onReady(() => void this.#sweep());
  }

  /** Once; where it fails, when the server is back. */
  async #sweep(): Promise<void> {
    if (this.#swept) return;
    this.#swept = true;
    try {
      let keys = 0;
      let at = "0";
      do {
        const [next, removed] = await this.#link.run("sweep", [at]);
        at = String(next);
        keys += Number(removed);
      } while (at !== "0");
      if (keys > 0) this.#link.log.info("removed from Redis what another version had left there", { keys });
    } catch (error) {
      this.#swept = false;
      this.#link.complain("could not remove from Redis what other versions have left there", error);
    }
  }
}
