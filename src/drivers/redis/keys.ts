/**
 * Every key and channel of one namespace. All carry one hash tag, so that a Redis Cluster keeps them on one node, and the
 * version of what is written there: workers of another version find lists of their own.
 */
import type { HeldJob } from "../../ports/broker.ts";

/** Raised when the meaning of a key or a message changes. */
const VERSION = "v3";

/** What stands under the namespace's prefix; scripts know these as locals (META, JOBS …). */
const PARTS = {
  /**
   * Hash: `epoch` of this life of the data, `run_id` of the server that it began on, `rows`: the epoch of the rows that it works
   * for, counters of turns, `hold`: until when what runs is not known, in milliseconds of the server's clock.
   */
  META: "meta",
  /**
   * Hash: task id to "FENCE q LANE\nMESSAGE" (see job-text.ts), "FENCE l WORKER\nWHO", "FENCE c WORKER\nWHO" (to be cancelled) or
   * "FENCE s" (settled, not recorded). WHO is "TASK|OWNER", or nothing where the worker did not say.
   */
  JOBS: "jobs",
  /** Stream: what the recorder reads; see events.ts. */
  EVENTS: "events",
  /** Stream: there is work (`w`: "SENDER SHARED ALONE", or nothing is known of it), or ids of running jobs that should stop (`c`). */
  SIGNALS: "signals",
  /** Sorted set: worker to its last heartbeat, in milliseconds of the server's clock. */
  WORKERS: "workers",
  /** Hash: worker to what it says of itself, as JSON. */
  CREW: "crew",
  /** Hash: lane to how many of its entries are holes: jobs that left before their turn. */
  HOLES: "holes",
  /**
   * Hash: "t|TASK" to "CONCURRENCY PER_USER TOKEN_MS BURST PAUSED" (0: none), "q|QUEUE" to "" where it is paused. What stands in none
   * of them is free.
   */
  LIMITS: "limits",
  /** Hash, of tasks with limits: "TASK" and "TASK|OWNER" to how many are leased. */
  BUSY: "busy",
  /** Hash, of tasks with a rate: "TASK" to "TOKENS AT", the bucket and its time in milliseconds. */
  RATES: "rates",
  /** Hash, of owners who have as many leased as they may: "TASK|OWNER" to lines in which they do not stand for that, one each. */
  PARKED: "parked",
  /** Prefix of a hash per worker: task id to "FENCE SINCE". */
  HELD: "held:",
  /** Prefix of a sorted set per kind and priority: lines with work, by whose turn it is. */
  LINES: "lines:",
  /** Prefix of a list per line: owners with work, in turn. */
  TURNS: "turns:",
  /** Prefix of a list per lane: "FENCE ID". */
  LANE: "lane:",
} as const;

/** A line is (kind, priority, queue, task); a lane is one owner's part of it. No name holds this character. */
export const SEPARATOR = "|";

export class Keys {
  /** KEYS[1] of every script. */
  readonly prefix: string;
  /** Says which data directory the namespace belongs to, whatever the version. */
  readonly owner: string;
  readonly meta: string;
  readonly jobs: string;
  readonly events: string;
  readonly signals: string;
  readonly workers: string;
  readonly crew: string;
  readonly busy: string;
  readonly rates: string;

  constructor(namespace: string) {
    const tag = `{${namespace}}:`;
    this.owner = `${tag}owner`;
    this.prefix = `${tag}${VERSION}:`;
    this.meta = this.prefix + PARTS.META;
    this.jobs = this.prefix + PARTS.JOBS;
    this.events = this.prefix + PARTS.EVENTS;
    this.signals = this.prefix + PARTS.SIGNALS;
    this.workers = this.prefix + PARTS.WORKERS;
    this.crew = this.prefix + PARTS.CREW;
    this.busy = this.prefix + PARTS.BUSY;
    this.rates = this.prefix + PARTS.RATES;
  }

  held(worker: string): string {
    return this.prefix + PARTS.HELD + worker;
  }

  /** Pub/sub channel for progress. Channels, other than keys, are the same in all databases of a server. */
  progress(database: number): string {
    return `${this.prefix}progress${database === 0 ? "" : `:${database}`}`;
  }
}

/** s: any worker's; a: for suspects, which run alone. */
export const lineOf = (job: { alone: boolean; priority: string; queue: string; name: string }): string =>
  [job.alone ? "a" : "s", job.priority, job.queue, job.name].join(SEPARATOR);

/** What limits count by, as it follows a dispatch; nothing where the worker does not know. */
export const whoOf = ({ name, owner }: HeldJob): string =>
  name === undefined || owner === undefined ? "" : ` ${busyOf(name, owner)}`;

/** The field of BUSY for one owner's. */
export const busyOf = (name: string, owner: string): string => `${name}${SEPARATOR}${owner}`;

/** The names as Lua locals: what every script begins with. */
export const LUA_NAMES = Object.entries(PARTS)
  .map(([name, part]) => `local ${name} = KEYS[1] .. '${part}'`)
  .join("\n");
