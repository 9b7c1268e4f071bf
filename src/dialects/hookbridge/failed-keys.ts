/**
 * A limit on failed authentications per address (RATE_LIMITED, protocol section 3.4). A valid key is never
 * refused for the failures of others: behind a proxy or NAT many clients share one address, and keys are too
 * long to be guessed, so shutting the address out would only hand everybody in it a way to stop the rest.
 */
import { MINUTE } from "../../domain/duration.ts";

/** The Go SDK repeats a 429 three times by itself (protocol section 3.3), which must not count as abuse. */
export const FAILURES_PER_MINUTE_MAX = 60;
/** Addresses remembered at once; beyond it the one that began to fail first is forgotten. */
const ADDRESSES_MAX = 4_096;

export class FailedKeys {
  readonly #counts = new Map<string, number>();
  #minute = 0;

  /** How many addresses are remembered. */
  get size(): number {
    return this.#counts.size;
  }

  /** Counts a failure; returns how long to wait when there were too many in this minute, null otherwise. */
  add(address: string | null, now: number): number | null {
    const minute = Math.floor(now / MINUTE);
    if (minute !== this.#minute) this.#counts.clear();
    this.#minute = minute;
    const key = address ?? "";
    const count = (this.#counts.get(key) ?? 0) + 1;
    if (count === 1 && this.#counts.size >= ADDRESSES_MAX) {
      for (const oldest of this.#counts.keys()) {
        this.#counts.delete(oldest);
        break;
      }
    }
    this.#counts.set(key, count);
    return count > FAILURES_PER_MINUTE_MAX ? (minute + 1) * MINUTE - now : null;
  }
}
