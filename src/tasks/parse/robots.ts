/** robots.txt (RFC 9309): what the crawler may visit, and how fast. */
import robotsParser from "robots-parser";
import type { TaskContext } from "../artel.ts";
import { FetchError } from "../net/fetch-error.ts";
import { USER_AGENT } from "../net/guarded-fetch.ts";
import { readUpTo } from "./read.ts";

/** RFC 9309 asks for at least 500 KiB; what is beyond is not read. */
const MAX_BYTES = 500 * 1024;
const TIMEOUT_MS = 15_000;
/** Rules of this many origins are kept: adversarial ones take some MB each once parsed. */
const MAX_ORIGINS = 16;

/** An origin's rules, or why there are none and nothing may be visited. */
type Rules =
  | { readonly allows: (url: string) => boolean; readonly delayMs: number }
  | { readonly unreachable: string; readonly cause: unknown };

export type Verdict =
  | { readonly kind: "allowed"; readonly delayMs: number }
  | { readonly kind: "disallowed" }
  /** The origin could not be asked; RFC 9309 2.3.1.4 has a crawler assume that all is disallowed. */
  | { readonly kind: "unreachable"; readonly why: string; readonly cause: unknown };

const ALLOW_ALL: Rules = { allows: () => true, delayMs: 0 };

/** The robots.txt files of the origins of one crawl, each fetched once. */
export class RobotsCache {
  readonly #fetch: TaskContext["fetch"];
  readonly #signal: AbortSignal;
  readonly #byOrigin = new Map<string, Promise<Rules>>();

  constructor(fetch: TaskContext["fetch"], signal: AbortSignal) {
    this.#fetch = fetch;
    this.#signal = signal;
  }

  /** @throws the signal's reason when it aborts */
  async check(url: string): Promise<Verdict> {
    const rules = await this.#rules(new URL(url).origin);
    this.#signal.throwIfAborted();
    if ("unreachable" in rules) return { kind: "unreachable", why: rules.unreachable, cause: rules.cause };
    return rules.allows(url) ? { kind: "allowed", delayMs: rules.delayMs } : { kind: "disallowed" };
  }

  #rules(origin: string): Promise<Rules> {
    let rules = this.#byOrigin.get(origin);
    if (rules === undefined) {
      rules = this.#load(origin);
      const oldest = this.#byOrigin.keys().next().value;
      if (this.#byOrigin.size >= MAX_ORIGINS && oldest !== undefined) this.#byOrigin.delete(oldest);
    }
    // Last used, last out.
    this.#byOrigin.delete(origin);
    this.#byOrigin.set(origin, rules);
    return rules;
  }

  async #load(origin: string): Promise<Rules> {
    const url = `${origin}/robots.txt`;
    const signal = AbortSignal.any([this.#signal, AbortSignal.timeout(TIMEOUT_MS)]);
    try {
      const response = await this.#fetch(url, { signal });
      if (response.ok) {
        const { bytes } = await readUpTo(response.body, MAX_BYTES);
        return rulesOf(url, bytes);
      }
      await response.body?.cancel();
      // "Unavailable" (4xx) means no rules; so does a 429, which RFC 9309 does not except.
      if (response.status < 500) return ALLOW_ALL;
      return { unreachable: `${url} answered ${response.status}`, cause: null };
    } catch (cause) {
      // RFC 9309 2.3.1.2: after too many redirects a crawler may assume that there are no rules.
      if (cause instanceof FetchError && cause.reason === "too_many_redirects") return ALLOW_ALL;
      const why = cause instanceof FetchError ? cause.message : "it did not answer in time";
      return { unreachable: `${url} cannot be had: ${why}`, cause };
    }
  }
}

function rulesOf(url: string, bytes: Uint8Array): Rules {
  const robots = robotsParser(url, new TextDecoder().decode(bytes));
  const delaySeconds = Number(robots.getCrawlDelay(USER_AGENT) ?? 0);
  return {
    allows: (page) => robots.isAllowed(page, USER_AGENT) ?? true,
    delayMs: delaySeconds > 0 ? delaySeconds * 1_000 : 0,
  };
}
