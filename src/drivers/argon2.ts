import { availableParallelism } from "node:os";
import { TooMany } from "../domain/errors.ts";
import type { Admit, Passwords } from "../ports/passwords.ts";

export interface Argon2Options {
  /** Memory of one hash in KiB; 64 MiB by default. */
  readonly memoryKiB?: number;
  /** Passes over that memory; 2 by default. */
  readonly passes?: number;
  /** Hashes at work at once, each on a thread of its own; by default the cores, at most 4. */
  readonly atOnce?: number;
  /** Calls that may wait for their turn; 128 by default. */
  readonly waiting?: number;
}

/** About what a hash takes; only for telling the refused when to come back. */
const TYPICAL_MS = 200;
const HASH_BYTES = 32;

/** argon2id by Bun, which works on its own threads. */
export class Argon2Passwords implements Passwords {
  readonly #cost: { algorithm: "argon2id"; memoryCost: number; timeCost: number };
  readonly #line: Line;
  readonly #nobodys: string;

  constructor({
    memoryKiB = 65_536,
    passes = 2,
    atOnce = Math.min(4, availableParallelism()),
    waiting = 128,
  }: Argon2Options = {}) {
    this.#cost = { algorithm: "argon2id", memoryCost: memoryKiB, timeCost: passes };
    this.#line = new Line(atOnce, waiting);
    this.#nobodys = nobodysHash(memoryKiB, passes);
  }

  hash(password: string, admit?: Admit): Promise<string> {
    return this.#line.run(async () => {
      await admit?.();
      return Bun.password.hash(password, this.#cost);
    });
  }

  verify(password: string, hash: string | undefined, admit?: Admit): Promise<boolean> {
    return this.#line.run(async () => {
      await admit?.();
      return (await Bun.password.verify(password, hash ?? this.#nobodys)) && hash !== undefined;
    });
  }
}

/** A well-formed hash that no password gives: its bytes are random, not computed. */
function nobodysHash(memoryKiB: number, passes: number): string {
  const bytes = () =>
    Buffer.from(crypto.getRandomValues(new Uint8Array(HASH_BYTES)))
      .toString("base64")
      .replace(/=+$/, "");
  return `$argon2id$v=19$m=${memoryKiB},t=${passes},p=1$${bytes()}$${bytes()}`;
}

/** First come, first served; refuses when too many wait, for each of them holds its request open. */
class Line {
  readonly #atOnce: number;
  readonly #limit: number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(atOnce: number, limit: number) {
    this.#atOnce = atOnce;
    this.#limit = limit;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    await this.#turn();
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      // The place goes straight to the next in line: nobody who comes now can slip in between.
      if (next) next();
      else this.#running -= 1;
    }
  }

  #turn(): Promise<void> | void {
    if (this.#running < this.#atOnce) {
      this.#running += 1;
      return;
    }
    if (this.#waiting.length >= this.#limit) {
      const retryAfterMs = Math.ceil((this.#waiting.length * TYPICAL_MS) / this.#atOnce);
      throw new TooMany("busy", "too many people are signing in or up at this moment", retryAfterMs);
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}
