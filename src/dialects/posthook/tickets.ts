/**
 * Tickets: what a client shows to open a WebSocket, since it sends no key then. Each is good once and for a
 * minute. They live in memory: a client fetches a new one before every connect, so a restart costs it one
 * more try.
 */
import type { Clock } from "../../runtime/clock.ts";
import type { Random } from "../../runtime/random.ts";

export interface TicketClaim {
  readonly project: string;
  /** Of the key that asked for it: revoking the key ends what came of it. */
  readonly keyHash: string;
}

export interface Ticket {
  readonly text: string;
  /** Wall time. */
  readonly expiresAt: number;
}

const TICKET_MS = 60_000;
const TICKET_BYTES = 24;
/** More are asked for than used only by mistake; the oldest go first. */
const TICKETS_MAX = 25_000;

export class Tickets {
  readonly #clock: Pick<Clock, "wallNow">;
  readonly #random: Pick<Random, "bytes">;
  /** In the order of their making, which is that of their expiry. */
  readonly #open = new Map<string, TicketClaim & { readonly expiresAt: number }>();

  constructor({ clock, random }: { clock: Pick<Clock, "wallNow">; random: Pick<Random, "bytes"> }) {
    this.#clock = clock;
    this.#random = random;
  }

  /** Its characters need no escaping in a query: the Python SDK pastes it there as it is. */
  issue(claim: TicketClaim): Ticket {
    const now = this.#clock.wallNow();
    for (const [text, { expiresAt }] of this.#open) {
      if (expiresAt > now && this.#open.size < TICKETS_MAX) break;
      this.#open.delete(text);
    }
    const text = `tkt_${Buffer.from(this.#random.bytes(TICKET_BYTES)).toString("base64url")}`;
    const expiresAt = now + TICKET_MS;
    this.#open.set(text, { ...claim, expiresAt });
    return { text, expiresAt };
  }

  /** Null for an unknown, used or expired one. */
  redeem(text: string): TicketClaim | null {
    const ticket = this.#open.get(text);
    this.#open.delete(text);
    return ticket && ticket.expiresAt > this.#clock.wallNow() ? ticket : null;
  }
}
