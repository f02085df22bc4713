/** Something that an admin has paused: no worker takes its jobs until it is resumed. */
export interface Pause {
  readonly kind: "task" | "queue";
  readonly name: string;
  /** Milliseconds since 1970 UTC. */
  readonly since: number;
}

/** Inside of the caller's transaction. */
export interface PauseStore {
  all(): readonly Pause[];
  /** Idempotent. */
  add(pause: Pause): void;
  /** Idempotent. */
  remove(pause: Pick<Pause, "kind" | "name">): void;
}
