import type { Clock, Log, Random } from "../../src/ports/runtime.ts";

/** A clock that only tests move. */
export class ManualClock implements Clock {
  #now: number;
  #elapsed = 0;

  constructor(now = Date.UTC(2026, 0, 1)) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  /** Milliseconds that have passed, however the clock was set. */
  elapsed(): number {
    return this.#elapsed;
  }

  advance(ms: number): void {
    this.#now += ms;
    this.#elapsed += ms;
  }

  /** Somebody sets it forward, or back: no time passes. */
  jump(ms: number): void {
    this.#now += ms;
  }
}

/** Ids and tokens that count up: the same in every run, none twice. */
export class CountingRandom implements Random {
  #count = 0;

  uuid(): string {
    this.#count += 1;
    return `00000000-0000-7000-8000-${String(this.#count).padStart(12, "0")}`;
  }

  fraction(): number {
    return 0.5;
  }

  token(bytes: number): string {
    this.#count += 1;
    return `token-${this.#count}`.padEnd(Math.ceil((bytes * 4) / 3), "x");
  }
}

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: Record<string, unknown> | undefined;
}

/** A log that tests can read. */
export function recordingLog(): { log: Log; lines: LogLine[] } {
  const lines: LogLine[] = [];
  const at = (level: string) => (message: string, fields?: Record<string, unknown>) =>
    void lines.push({ level, message, fields });
  return { log: { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") }, lines };
}
