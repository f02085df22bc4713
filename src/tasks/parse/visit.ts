/** Fetching one page, its redirects included. */
import type { TaskContext } from "../artel.ts";
import { FetchError } from "../net/fetch-error.ts";
import { MAX_REDIRECTS, redirectTarget } from "../net/redirects.ts";
import { decodeText } from "./charset.ts";
import { EMPTY_PAGE, parsePage } from "./page.ts";
import { pageUrl } from "./page-url.ts";
import { countUpTo, readUpTo } from "./read.ts";
import type { RobotsCache } from "./robots.ts";
import type { PageEntry, ParsedPage } from "./shapes.ts";

/** Of a page, decompressed. */
export const MAX_PAGE_BYTES = 8 * 1024 * 1024;
/** Of one request, body included, in milliseconds. */
const REQUEST_MS = 30_000;

const ACCEPT = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.1";

export type Visit =
  | { readonly kind: "page"; readonly entry: PageEntry }
  /** Not to be visited: no page, and nothing wrong. */
  | { readonly kind: "skipped"; readonly url: string; readonly why: string }
  | {
      readonly kind: "failed";
      readonly url: string;
      readonly status: number | null;
      readonly why: string;
      /** Whether another attempt may go better. */
      readonly transient: boolean;
      /** What the server asks to wait, in milliseconds; null when it does not say. */
      readonly retryAfterMs: number | null;
      readonly elapsedMs: number;
      readonly cause?: unknown;
    };

export interface Visitor {
  readonly fetch: TaskContext["fetch"];
  readonly signal: AbortSignal;
  readonly robots: RobotsCache;
  /** The only origin to visit; null while any is allowed. */
  readonly origin: string | null;
  /** Waits until the origin's crawl delay allows another request. */
  pace(origin: string, delayMs: number): Promise<void>;
}

/**
 * Visits a page. Redirects are followed hop by hop, so that each hop heeds robots.txt and the allowed origin.
 *
 * @throws the signal's reason when it aborts; nothing else
 */
export async function visit(start: string, visitor: Visitor): Promise<Visit> {
  let url = start;
  let elapsedMs = 0;
  const failed = (why: string, rest: Partial<Extract<Visit, { kind: "failed" }>> = {}): Visit => {
    return {
      kind: "failed",
      url,
      status: null,
      why,
      transient: false,
      retryAfterMs: null,
      elapsedMs: Math.round(elapsedMs),
      ...rest,
    };
  };
  for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
    const obstacle = await admit(url, visitor);
    if (obstacle !== null) {
      const { kind, why, transient, cause } = obstacle;
      return kind === "skipped" ? { kind, url, why } : failed(why, { transient, cause });
    }
    const startedAt = performance.now();
    try {
      const signal = AbortSignal.any([visitor.signal, AbortSignal.timeout(REQUEST_MS)]);
      const response = await visitor.fetch(url, { redirect: "manual", signal, headers: { accept: ACCEPT } });
      const target = redirectTarget(response.status, response.headers.get("location"), url);
      if (target === null) return await read(response, url, startedAt - elapsedMs, visitor.signal);
      await response.body?.cancel();
      elapsedMs += performance.now() - startedAt;
      const next = pageUrl(target.href);
      if (next === null) return failed("it redirects to a URL that is too long", { status: response.status });
      url = next;
    } catch (cause) {
      visitor.signal.throwIfAborted();
      elapsedMs += performance.now() - startedAt;
      return failed(explain(cause), { cause, transient: !(cause instanceof FetchError) || cause.transient });
    }
  }
  return failed(`more than ${MAX_REDIRECTS} redirects`);
}

interface Obstacle {
  readonly kind: "skipped" | "failed";
  readonly why: string;
  readonly transient: boolean;
  readonly cause?: unknown;
}

/** null when `url` may be requested now. */
async function admit(url: string, visitor: Visitor): Promise<Obstacle | null> {
  const { origin } = new URL(url);
  if (visitor.origin !== null && origin !== visitor.origin)
    return { kind: "skipped", why: "it leads to another origin", transient: false };
  const verdict = await visitor.robots.check(url);
  if (verdict.kind === "disallowed") return { kind: "skipped", why: "robots.txt disallows it", transient: false };
  if (verdict.kind === "unreachable") {
    const { why, cause } = verdict;
    return { kind: "failed", why, transient: !(cause instanceof FetchError) || cause.transient, cause };
  }
  await visitor.pace(origin, verdict.delayMs);
  return null;
}

async function read(response: Response, url: string, startedAt: number, signal: AbortSignal): Promise<Visit> {
  const { status } = response;
  const elapsed = (): number => Math.round(performance.now() - startedAt);
  const failed = (why: string, transient: boolean, retryAfterMs: number | null = null): Visit => {
    return { kind: "failed", url, status, why, transient, retryAfterMs, elapsedMs: elapsed() };
  };
  if (status < 200 || status > 299) {
    await response.body?.cancel();
    const transient = status === 408 || status === 425 || status === 429 || status >= 500;
    return failed(`it answered ${status}`, transient, retryAfterMs(response.headers.get("retry-after")));
  }
  const page = (parsed: ParsedPage, bytes: number, elapsed_ms: number): Visit => {
    return { kind: "page", entry: { url, status, ...parsed, bytes, elapsed_ms } };
  };
  const contentType = response.headers.get("content-type");
  try {
    if (contentType !== null && !isHtml(contentType)) return page(EMPTY_PAGE, await sizeOf(response), elapsed());
    const { bytes, truncated } = await readUpTo(response.body, MAX_PAGE_BYTES);
    // Taken before parsing, which is not the server's time.
    const elapsedMs = elapsed();
    if (truncated) return failed(`it is too large: more than ${MAX_PAGE_BYTES} bytes`, false);
    if (contentType === null && !looksLikeMarkup(bytes)) return page(EMPTY_PAGE, bytes.byteLength, elapsedMs);
    return page(parsePage(decodeText(bytes, contentType).text, url, isXhtml(contentType)), bytes.byteLength, elapsedMs);
  } catch (cause) {
    signal.throwIfAborted();
    // Caught here and not by the caller, for the status did come.
    return { ...failed(explain(cause), !(cause instanceof FetchError) || cause.transient), cause } as Visit;
  }
}

function isHtml(contentType: string): boolean {
  return /^\s*text\/html\s*(;|$)/i.test(contentType) || isXhtml(contentType);
}

function isXhtml(contentType: string | null): boolean {
  return /^\s*application\/xhtml\+xml\s*(;|$)/i.test(contentType ?? "");
}

/** For answers that do not say what they are. */
function looksLikeMarkup(bytes: Uint8Array): boolean {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.byteLength, 512)).toString("latin1");
  return /^(?:\xef\xbb\xbf)?\s*<[!a-z?]/i.test(head);
}

/** Of an answer that is not parsed: its header says it, and nothing is downloaded; else it is counted, up to a page's limit. */
async function sizeOf(response: Response): Promise<number> {
  const declared = response.headers.get("content-length");
  if (declared === null) return countUpTo(response.body, MAX_PAGE_BYTES);
  await response.body?.cancel();
  return Number(declared);
}

/** Retry-After is seconds or a date. */
function retryAfterMs(header: string | null): number | null {
  if (header === null) return null;
  const ms = /^\d{1,9}$/.test(header) ? Number(header) * 1_000 : Date.parse(header) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : null;
}

function explain(cause: unknown): string {
  if (cause instanceof FetchError) return cause.message;
  if (cause instanceof DOMException && cause.name === "TimeoutError") return `it took longer than ${REQUEST_MS / 1_000} s`;
  return "it could not be read";
}
