/** The crawl: breadth first, a few pages at a time, with a result that does not depend on which of them came first. */
import { NonRetryableError, type TaskContext, TaskError } from "../artel.ts";
import { checkedUrl } from "../net/redirects.ts";
import { Frontier } from "./frontier.ts";
import { Pacer } from "./pacer.ts";
import { EMPTY_PAGE } from "./page.ts";
import { pageUrl } from "./page-url.ts";
import { policy } from "./policy.ts";
import { Report } from "./report.ts";
import { RobotsCache } from "./robots.ts";
import type { PageEntry, ParseInput, ParseOutput } from "./shapes.ts";
import { type Visit, type Visitor, visit } from "./visit.ts";

/** Pages being fetched at once, and so the most connections to a host. */
const CONCURRENCY = 4;
/** A crawl that goes on for longer stops and returns what it has: a timeout would throw all of it away. */
const DEADLINE_MS = policy.timeoutMs * 0.8;
/** A server may ask for a longer wait; then the usual backoff is what it gets. */
const MAX_RETRY_AFTER_MS = 300_000;

interface Crawl {
  readonly ctx: TaskContext;
  readonly maxPages: number;
  readonly frontier: Frontier;
  readonly report: Report;
  /** In milliseconds of `performance.now()`. */
  readonly deadline: number;
}

interface Pending {
  readonly url: string;
  readonly visit: Promise<Visit>;
}

/**
 * Runs the task `parse`.
 *
 * With `same_origin` the crawl keeps to the origin where the first page's redirects end. A later page that redirects
 * away from it is left out, as is one that redirects to a page already visited; neither counts towards `max_pages`.
 *
 * @param deadlineMs no page is begun later than this after the start
 * @throws NonRetryableError, TaskError `fetch_failed` when the first page cannot be had; the signal's reason when it aborts
 */
export async function crawl(input: ParseInput, ctx: TaskContext, deadlineMs = DEADLINE_MS): Promise<ParseOutput> {
  const start = firstUrl(input.url);
  const maxPages = input.max_pages ?? 1;
  const frontier = new Frontier(start, maxPages);
  const report = new Report(ctx, maxPages);
  const state: Crawl = { ctx, maxPages, frontier, report, deadline: performance.now() + deadlineMs };
  const stop = new AbortController();
  const signal = AbortSignal.any([ctx.signal, stop.signal]);
  const pacer = new Pacer((ms) => ctx.sleep(ms), deadlineMs / maxPages);
  const robots = new RobotsCache(ctx.fetch, signal);
  const visitor: Visitor = {
    fetch: ctx.fetch,
    signal,
    robots,
    origin: null,
    pace: (origin, delayMs) => pacer.wait(origin, delayMs),
  };
  try {
    report.begin(start);
    const first = firstPage(await visit(start, visitor), ctx);
    frontier.origin = (input.same_origin ?? true) ? new URL(first.url).origin : null;
    record(state, start, { kind: "page", entry: first }, 0);
    await crawlOn(state, { ...visitor, origin: frontier.origin });
    return report.finish();
  } finally {
    // Whatever ended it, no request of this crawl goes on.
    stop.abort(new Error("the crawl has ended"));
  }
}

function firstUrl(url: string): string {
  try {
    checkedUrl(url);
  } catch (cause) {
    throw new NonRetryableError("fetch_failed", `the URL cannot be fetched: ${(cause as Error).message}`, { cause });
  }
  const start = pageUrl(url);
  if (start === null) throw new NonRetryableError("fetch_failed", "the URL cannot be fetched: it is too long");
  return start;
}

/** The first page's entry, or the reason why the task fails. */
function firstPage(first: Visit, ctx: TaskContext): PageEntry {
  if (first.kind === "page") return first.entry;
  const message = `${first.url} cannot be fetched: ${first.why}`;
  if (first.kind === "skipped") throw new NonRetryableError("fetch_failed", message);
  if (!first.transient) throw new NonRetryableError("fetch_failed", message, { cause: first.cause });
  const waitMs = first.retryAfterMs ?? Number.POSITIVE_INFINITY;
  if (waitMs <= MAX_RETRY_AFTER_MS && ctx.attempt < policy.retry.maxAttempts) ctx.retryIn(waitMs, message);
  throw new TaskError("fetch_failed", message, { cause: first.cause });
}

/**
 * Visits the rest. Pages are fetched ahead of the one whose turn it is, but recorded strictly in the frontier's order,
 * and only recording discovers links: so the same site gives the same result, however its answers race.
 */
async function crawlOn(state: Crawl, visitor: Visitor): Promise<void> {
  const { maxPages, frontier, report } = state;
  const window: Pending[] = [];
  const fill = (): void => {
    while (window.length < CONCURRENCY && report.pages + window.length < maxPages && performance.now() < state.deadline) {
      const url = frontier.next();
      if (url === null) return;
      const pending = { url, visit: visit(url, visitor) };
      // One that is abandoned because another threw has nobody else to catch it.
      pending.visit.catch(() => {});
      window.push(pending);
    }
  };
  for (fill(); window.length > 0; fill()) {
    const { url, visit } = window[0] as Pending;
    const result = await visit;
    window.shift();
    record(state, url, result, window.length);
  }
  if (performance.now() >= state.deadline && report.pages < maxPages)
    report.note("warn", "stopped early: the time for one task is nearly over");
}

function record(state: Crawl, requested: string, result: Visit, inFlight: number): void {
  const { frontier, report } = state;
  if (result.kind === "skipped") {
    report.note("info", `skipped ${requested}: ${result.why}`);
    return;
  }
  const entry = result.kind === "page" ? result.entry : failedEntry(result);
  if (!frontier.finish(requested, entry.url)) {
    report.note("info", `skipped ${requested}: it redirects to ${entry.url}, which was visited already`);
    return;
  }
  frontier.discover(entry.links);
  if (entry.error !== undefined) report.note("warn", `${entry.url}: ${entry.error}`);
  report.add(entry, inFlight + frontier.waiting);
}

function failedEntry({ url, status, why, elapsedMs }: Extract<Visit, { kind: "failed" }>): PageEntry {
  return { ...EMPTY_PAGE, url, status, bytes: 0, elapsed_ms: elapsedMs, error: why };
}
