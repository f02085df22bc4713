import type { LogLevel } from "../domain/definition.ts";

/** Wall-clock time; a port, so that tests move it by hand. */
export interface Clock {
  /** Milliseconds since 1970 UTC. */
  now(): number;
}

/** Identifiers and randomness; a port, so that tests repeat. */
export interface Random {
  /** A new UUIDv7; later ones sort after earlier ones. */
  uuid(): string;
  /** A number in [0, 1). */
  fraction(): number;
  /** `bytes` random bytes, base64url. */
  token(bytes: number): string;
}

/** Structured log lines; fields are JSON values and never secrets. */
export type Log = Readonly<Record<LogLevel, (message: string, fields?: Record<string, unknown>) => void>>;

/** Whatever runs longer than a call: started once, stopped once or more. */
export interface Service {
  start(): void | Promise<void>;
  /** Idempotent. Ends by `deadlineMs` (milliseconds since 1970 UTC) even if work is left. */
  stop(deadlineMs: number): void | Promise<void>;
}
