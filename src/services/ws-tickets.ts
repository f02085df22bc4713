import type { Identity } from "../domain/account.ts";
import { TooMany, Unauthorized } from "../domain/errors.ts";
import type { Clock, Random } from "../ports/runtime.ts";
import type { Identities } from "./identities.ts";

const LIFE_MS = 30_000;
const BYTES = 32;
/** Unused tickets of one session: enough for any number of open tabs, too few to fill the memory. */
const PER_SESSION = 100;

export interface WsTicket {
  readonly ticket: string;
  /** Seconds. */
  readonly expiresIn: number;
}

interface Issued {
  readonly identity: Identity;
  readonly expiresAt: number;
}

/** What a browser shows to open a WebSocket, where it can set no header. In memory: a restart ends the sockets as well. */
export class WsTickets {
  readonly #identities: Identities;
  readonly #clock: Clock;
  readonly #random: Random;
  /** In order of their end, for all live equally long. */
  readonly #issued = new Map<string, Issued>();
  readonly #perSession = new Map<string, number>();

  constructor(deps: { identities: Identities; clock: Clock; random: Random }) {
    this.#identities = deps.identities;
    this.#clock = deps.clock;
    this.#random = deps.random;
  }

  /** @throws TooMany `too_many_tickets` */
  issue(identity: Identity): WsTicket {
    this.#dropExpired();
    const unused = this.#perSession.get(identity.sessionId) ?? 0;
    if (unused >= PER_SESSION) throw new TooMany("too_many_tickets", "this session has too many unused tickets", LIFE_MS);
    const ticket = this.#random.token(BYTES);
    this.#issued.set(ticket, { identity, expiresAt: this.#clock.now() + LIFE_MS });
    this.#perSession.set(identity.sessionId, unused + 1);
    return { ticket, expiresIn: LIFE_MS / 1_000 };
  }

  /**
   * Spends a ticket.
   *
   * @returns whom it speaks for; it ends with the access token that the ticket was got with
   * @throws Unauthorized `invalid_ticket`, or `invalid_token` when the session has ended in between
   */
  redeem(ticket: string): Identity {
    const issued = this.#issued.get(ticket);
    if (issued) this.#drop(ticket, issued);
    if (!issued || issued.expiresAt <= this.#clock.now()) {
      throw new Unauthorized("invalid_ticket", "the ticket is not valid, has expired or has been used");
    }
    return this.#identities.current(issued.identity);
  }

  #dropExpired(): void {
    const now = this.#clock.now();
    for (const [ticket, issued] of this.#issued) {
      if (issued.expiresAt > now) return;
      this.#drop(ticket, issued);
    }
  }

  #drop(ticket: string, { identity }: Issued): void {
    this.#issued.delete(ticket);
    const others = (this.#perSession.get(identity.sessionId) ?? 1) - 1;
    if (others > 0) this.#perSession.set(identity.sessionId, others);
    else this.#perSession.delete(identity.sessionId);
  }
}
