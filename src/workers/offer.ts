import type { TaskPolicy } from "../domain/definition.ts";
import type { Source } from "./messages.ts";

/** What this process can run, as it is now: it changes when task files do. */
export class Offer {
  #sources: readonly Source[] = [];
  /** Of every task that is or was on offer. */
  readonly #policies = new Map<string, TaskPolicy>();

  constructor(sources: readonly Source[]) {
    this.renew(sources);
  }

  get sources(): readonly Source[] {
    return this.#sources;
  }

  /** The tasks that may be claimed. */
  get names(): readonly string[] {
    return this.#sources.map(({ policy }) => policy.name);
  }

  /** Also of a task that is on offer no more: attempts of it may be under way. */
  policy(name: string): TaskPolicy | undefined {
    return this.#policies.get(name);
  }

  renew(sources: readonly Source[]): void {
    this.#sources = sources;
    for (const { policy } of sources) this.#policies.set(policy.name, policy);
  }
}
