import { TaskError } from "../artel.ts";

/** What went wrong, coarse enough to decide by. */
export type FetchFailure =
  /** No http(s) URL, or one with a user name in it. */
  | "bad_url"
  /** The host, or where it redirects to, is not on the public internet. */
  | "refused"
  /** The name has no address. */
  | "unresolved"
  /** No connection, a broken one, or a certificate that is not the host's. */
  | "network"
  | "timeout"
  /** What came is no HTTP, or not what its headers say. */
  | "bad_response"
  /** More header or body bytes than allowed. */
  | "too_large"
  | "too_many_redirects";

const TRANSIENT: ReadonlySet<FetchFailure> = new Set(["unresolved", "network", "timeout", "bad_response"]);

/**
 * A guarded fetch that got no usable answer. Its message is fit for the task's owner: it names hosts that the
 * owner's own input led to, never an address that a name resolved to.
 */
export class FetchError extends TaskError {
  override readonly name = "FetchError";
  readonly reason: FetchFailure;

  constructor(reason: FetchFailure, message: string, options?: { cause?: unknown }) {
    super("fetch_failed", message, options);
    this.reason = reason;
  }

  /** Whether the same request may well succeed later. */
  get transient(): boolean {
    return TRANSIENT.has(this.reason);
  }
}
