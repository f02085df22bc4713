import { type Bucket, nextTokenMs, type Rate, refill } from "../../domain/limits.ts";
import { HEARTBEAT_MS, type LimitUse, type Restraints } from "../../ports/broker.ts";
import type { Clock } from "../../ports/runtime.ts";
import { busyOf } from "./keys.ts";
import type { Link } from "./link.ts";

/** In this time every worker that lives has said what it holds, in milliseconds. */
const HEARD_MS = 2 * HEARTBEAT_MS;

interface Parts {
  readonly serverTime?: Clock | undefined;
  /** The life of the data that the rows have seen last; undefined: none. */
  readonly lastEpoch?: string | undefined;
}

/**
 * Keeps Redis told of limits and pauses: they are written again whenever it is back. Where the data has begun another life, workers
 * may run what it knows nothing of; so tasks whose number counts are claimed only when all have spoken.
 */
export class Restraint {
  readonly #link: Link;
  readonly #serverTime: Clock | undefined;
  #told: string | undefined;
  /** Of this life it is not known yet what runs. */
  #unheard = false;
  #restraints: Restraints | undefined;

  constructor(link: Link, { serverTime, lastEpoch }: Parts) {
    this.#link = link;
    this.#serverTime = serverTime;
    this.#told = lastEpoch;
    link.onReady(() => void this.#tell());
  }

  async set(restraints: Restraints): Promise<void> {
    this.#restraints = restraints;
    await this.#tell();
  }

  /**
   * See BrokerHub.limitUse. What claims heed is read as it stands there, which costs them nothing.
   *
   * @throws Unavailable `redis_unavailable`
   */
  async use(names: readonly string[], owner?: string): Promise<readonly LimitUse[]> {
    const limits = this.#restraints?.limits.filter(({ name }) => names.includes(name)) ?? [];
    if (limits.length === 0) return [];
    const { meta, busy, rates } = this.#link.keys;
    const limited = limits.map(({ name }) => name);
    const counted = limited.flatMap((name) => (owner === undefined ? [name] : [name, busyOf(name, owner)]));
    const [now, hold, counts, buckets] = await this.#link.call((client) =>
      Promise.all([
        this.#serverTime?.now() ??
          client.time().then(([seconds = 0, micros = 0]) => seconds * 1_000 + Math.floor(micros / 1_000)),
        client.hget(meta, "hold"),
        owner === undefined ? client.hgetall(busy) : client.hmget(busy, ...counted).then((values) => byField(counted, values)),
        client.hmget(rates, ...limited),
      ]),
    );
    const unknownMs = Math.max(0, Number(hold ?? 0) - now);
    return limits.map(({ name, concurrency, perUser, rate }, i) => ({
      name,
      running: Number(counts[name] ?? 0),
      byOwner: byOwner(counts, name),
      tokenInMs: rate === undefined ? 0 : nextTokenMs(rate, bucketOf(rate, buckets[i], now)),
      countedInMs: concurrency === undefined && perUser === undefined ? 0 : unknownMs,
    }));
  }

  /** The life that knows of them: jobs are sent to no other. "": there is nothing to be known. */
  get toldIn(): string {
    return (this.#restraints && this.#told) ?? "";
  }

  async #tell(): Promise<void> {
    if (!this.#restraints || !this.#link.ready) return;
    this.#unheard ||= this.#told !== undefined && this.#told !== this.#link.epoch;
    // Jobs that are sent from now on come behind this on the same connection.
    this.#told = this.#link.epoch;
    try {
      const args = [this.#serverTime?.now() ?? "", this.#unheard ? HEARD_MS : 0, ...fieldsOf(this.#restraints)];
      await this.#link.run("restrain", args);
      this.#unheard = false;
    } catch (error) {
      this.#link.complain("could not tell limits", error);
    }
  }
}

/** Field and value in turn; see LIMITS in keys.ts. */
function fieldsOf({ limits, pausedTasks, pausedQueues }: Restraints): string[] {
  const paused = new Set(pausedTasks);
  const tasks = new Map(limits.map((limit) => [limit.name, limit]));
  const names = new Set([...tasks.keys(), ...paused]);
  const fields = [...names].flatMap((name) => {
    const { concurrency = 0, perUser = 0, rate } = tasks.get(name) ?? {};
    return [`t|${name}`, `${concurrency} ${perUser} ${rate?.tokenMs ?? 0} ${rate?.burst ?? 0} ${paused.has(name) ? 1 : 0}`];
  });
  return [...fields, ...pausedQueues.flatMap((queue) => [`q|${queue}`, "1"])];
}

const byField = (fields: readonly string[], values: readonly (string | null)[]): Record<string, string> =>
  Object.fromEntries(fields.flatMap((field, i) => (values[i] == null ? [] : [[field, values[i]]])));

/** Of all counts those of one task's owners; see BUSY in keys.ts. */
function byOwner(counts: Readonly<Record<string, string>>, name: string): Map<string, number> {
  const prefix = busyOf(name, "");
  return new Map(
    Object.entries(counts).flatMap(([field, count]) =>
      field.startsWith(prefix) ? [[field.slice(prefix.length), Number(count)]] : [],
    ),
  );
}

/** See RATES in keys.ts. */
function bucketOf(rate: Rate, text: string | null | undefined, now: number): Bucket {
  const [tokens, at] = text?.split(" ").map(Number) ?? [];
  return refill(rate, tokens === undefined || at === undefined ? undefined : { tokens, at }, now);
}
