import { expect } from "bun:test";
import type { Answer, Client } from "./e2e-client.ts";
import { eventually } from "./waiting.ts";

/** Submits all the time, singly and in batches, and keeps what was accepted; an answer that is neither 202 nor 503 ends it. */
export class Submitters {
  readonly accepted: string[] = [];
  readonly refused: Answer[] = [];
  readonly #client: Client;
  readonly #done: Promise<unknown>;
  #stopped = false;

  constructor(client: Client) {
    this.#client = client;
    this.#done = Promise.all([this.#singles(), this.#singles(), this.#batches()]);
    // Whoever waits next is told.
    this.#done.catch(() => {});
  }

  /** Waits for so many more answers of one kind. */
  async more(kind: "accepted" | "refused", count: number): Promise<void> {
    const until = this[kind].length + count;
    const come = eventually(() => (this[kind].length >= until ? true : undefined), `${count} more ${kind}`);
    await Promise.race([come, this.#done]);
  }

  /** Submits no more. @throws what was wrong with an answer */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#done;
  }

  async #singles(): Promise<void> {
    for (let n = 0; !this.#stopped; n += 1) {
      const body = this.#took(await this.#client.call("POST", "/tasks/quick", { n })) as { task_id: string } | undefined;
      if (body) this.accepted.push(body.task_id);
    }
  }

  async #batches(): Promise<void> {
    const inputs = Array.from({ length: 20 }, (_, n) => ({ n }));
    while (!this.#stopped) {
      const body = this.#took(await this.#client.call("POST", "/tasks/quick/batch", inputs)) as
        | { task_ids: string[] }
        | undefined;
      if (body) this.accepted.push(...body.task_ids);
    }
  }

  #took(answer: Answer): unknown {
    if (answer.status === 202) return answer.body;
    expectRefused(answer);
    this.refused.push(answer);
    return undefined;
  }
}

/** The answer to what cannot be stored. */
export function expectRefused(answer: Answer): void {
  expect(answer.body).toMatchObject({ status: 503, code: "storage_unavailable" });
  expect([answer.status, answer.headers.get("content-type")]).toEqual([503, "application/problem+json"]);
}
