import { HEARTBEAT_MS, type Restraints } from "../../ports/broker.ts";
import type { Clock } from "../../ports/runtime.ts";
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
