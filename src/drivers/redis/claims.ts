import {
  type ClaimRequest,
  type Job,
  type JobRef,
  type LogLine,
  type NewWork,
  type Outcome,
  type ProgressReport,
  type SettleResult,
  UNKNOWN_WORK,
  type Unsubscribe,
} from "../../ports/broker.ts";
import type { Clock } from "../../ports/runtime.ts";
import { Alarm } from "../alarm.ts";
import { Signal } from "../signal.ts";
import { jobsOf } from "./job-text.ts";
import type { Link } from "./link.ts";

/** So many unrecorded entries of the stream stop claims: the recorder is behind, and more outcomes would only fill memory. */
export const MAX_ENTRIES = 10_000;
/** After a failed try, at most so long until the next one, in milliseconds. */
const RETRY_MS = 500;
/** Outcomes of one call to a script: so many, and so many characters of JSON. */
const PAGE_OUTCOMES = 500;
const PAGE_CHARS = 4 * 1024 * 1024;

/** Dispatches as scripts take them: "FENCE ID", a line each. */
export const linesOf = (refs: readonly JobRef[]): string => refs.map(({ id, fence }) => `${fence} ${id}`).join("\n");

/**
 * What a worker thread does with its own connection: takes jobs under a lease, ends them, tells of their progress. Outcomes
 * and log lines outlast a Redis that is away: they are kept here, and so many as there are jobs in hand, until it is back.
 */
export class RedisClaims {
  readonly #link: Link;
  readonly #serverTime: Clock | undefined;
  /** In which life of the data each job in hand was claimed. */
  readonly #claimedIn = new Map<string, string>();
  readonly #onWork = new Signal<[NewWork]>();
  /** When what a rate kept back will be let through. */
  readonly #later = new Alarm(() => this.#onWork.emit(UNKNOWN_WORK));
  #stopped = false;

  /** @param serverTime leases are measured by it; by default the server's own clock */
  constructor(link: Link, serverTime?: Clock) {
    this.#link = link;
    this.#serverTime = serverTime;
  }

  async claim(request: ClaimRequest): Promise<readonly Job[]> {
    const { worker, max, tasks, queues, alone } = request;
    if (max <= 0 || tasks.length === 0 || queues?.length === 0) return [];
    for (;;) {
      const now = this.#link.clock.now();
      const [more, waitMs, ...texts] = await this.#link.run("claim", [
        worker,
        this.#serverTime?.now() ?? "",
        now,
        max,
        alone ? "a" : "s",
        MAX_ENTRIES,
        tasks.length,
        ...tasks,
        ...(queues ?? []),
      ]);
      const jobs = jobsOf(texts as string[]);
      for (const { id } of jobs) this.#claimedIn.set(id, this.#link.epoch);
      if (Number(waitMs) > 0 && !this.#stopped) this.#later.set(Number(waitMs));
      if (jobs.length > 0 || more === 0) return jobs;
    }
  }

  /** Calls when a claim that came short because of a rate would bring more. */
  onWork(listener: (work: NewWork) => void): Unsubscribe {
    return this.#onWork.on(listener);
  }

  async settle(worker: string, outcomes: readonly Outcome[]): Promise<readonly SettleResult[]> {
    const results: SettleResult[] = [];
    for (let at = 0; at < outcomes.length; ) {
      const epoch = this.#claimedIn.get(outcomes[at]?.id ?? "") ?? "";
      const { page, text } = this.#page(outcomes, at, epoch);
      const args = [worker, epoch, linesOf(page), text];
      const [taken] = await this.#keepTrying("could not settle", () => this.#link.run("settle", args));
      for (const flag of String(taken)) results.push(flag === "1" ? "taken" : "lease lost");
      for (const { id } of page) this.#claimedIn.delete(id);
      at += page.length;
    }
    return results;
  }

  async log(lines: readonly (JobRef & { readonly log: readonly LogLine[] })[]): Promise<void> {
    if (lines.length === 0) return;
    const texts = lines.map((line) => JSON.stringify(line));
    await this.#keepTrying("could not send log lines", () => this.#link.run("log", texts));
  }

  /** Nobody waits for it, and the next one makes up for one that is lost. */
  report(reports: readonly ProgressReport[]): void {
    this.#link
      .call((client) => client.publish(this.#link.progress, JSON.stringify(reports)))
      .catch((error: unknown) => this.#link.complain("could not publish progress", error));
  }

  /** Nothing is tried again from now on. */
  stop(): void {
    this.#stopped = true;
    this.#later.stop();
  }

  /** The next outcomes of jobs that were claimed in the same life of the data, as far as one call takes them, and as JSON. */
  #page(outcomes: readonly Outcome[], from: number, epoch: string): { page: readonly Outcome[]; text: string } {
    const texts: string[] = [];
    let chars = 0;
    for (let i = from; i < outcomes.length && texts.length < PAGE_OUTCOMES && chars < PAGE_CHARS; i += 1) {
      const outcome = outcomes[i] as Outcome;
      if ((this.#claimedIn.get(outcome.id) ?? "") !== epoch) break;
      const text = JSON.stringify(outcome);
      chars += text.length;
      texts.push(text);
    }
    return { page: outcomes.slice(from, from + texts.length), text: `[${texts.join(",")}]` };
  }

  async #keepTrying<T>(complaint: string, attempt: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await attempt();
      } catch (error) {
        if (this.#stopped) throw error;
        const wasReady = this.#link.ready;
        this.#link.complain(complaint, error);
        // What fails on a standing connection (no memory left) is not to be tried in a loop.
        if (wasReady) await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
        else await this.#link.whenReady(RETRY_MS);
      }
    }
  }
}
