/** Which page comes next: breadth first, each URL once. */
export class Frontier {
  /** The only origin to go to; null allows all. */
  origin: string | null = null;
  /**
   * A site can redirect or disallow without end, and neither makes a page: so many URLs are tried, then the crawl is
   * over. It also bounds the memory of a frontier that grows by 2,000 links a page.
   */
  readonly #maxKnown: number;
  readonly #queue: string[] = [];
  #next = 0;
  /** Every URL ever put in the queue, and where redirects led. */
  readonly #known: Set<string>;
  /** Where visits ended. */
  readonly #finished = new Set<string>();

  constructor(start: string, maxPages: number) {
    this.#maxKnown = 10 * maxPages + 100;
    this.#known = new Set([start]);
  }

  /** URLs in the queue. */
  get waiting(): number {
    return this.#queue.length - this.#next;
  }

  /** Takes the next URL to visit; null when there is none for now. */
  next(): string | null {
    while (this.#next < this.#queue.length) {
      const url = this.#queue[this.#next++] as string;
      if (!this.#finished.has(url)) return url;
    }
    return null;
  }

  /**
   * Notes where the visit of `requested` ended.
   *
   * @returns false when an earlier visit ended there
   */
  finish(requested: string, url: string): boolean {
    if (this.#finished.has(url)) return false;
    this.#finished.add(url).add(requested);
    this.#known.add(url);
    return true;
  }

  /** Queues those of a page's links that are new and allowed. */
  discover(links: readonly string[]): void {
    for (const link of links) {
      if (this.#known.size >= this.#maxKnown) return;
      // The slash keeps out http://host.evil for http://host.
      if (this.#known.has(link) || (this.origin !== null && !link.startsWith(`${this.origin}/`))) continue;
      this.#known.add(link);
      this.#queue.push(link);
    }
  }
}
