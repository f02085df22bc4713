export const ROLES = ["user", "admin"] as const;
export type Role = (typeof ROLES)[number];

/** A person or program that owns tasks. */
export interface Account {
  /** Integer key inside this data directory; never shown. */
  readonly n: number;
  /** UUIDv7. */
  readonly id: string;
  /** As normalised by `normalizeEmail`. */
  readonly email: string;
  readonly role: Role;
  /** Milliseconds since 1970 UTC. */
  readonly createdAt: number;
}
