/** A token bucket over engine time. One per lane; also bounds how many refusals of a source are kept. */
import type { RateRule } from "../domain/endpoint.ts";

/**
 * Sums of fractions come out a hair short of a whole token; without this, a wait for that hair would never
 * end.
 */
const HAIR = 1e-9;

export class TokenBucket {
  readonly #rule: RateRule;
  #tokens: number;
  #refilledAt: number;

  constructor(rule: RateRule, now: number) {
    this.#rule = rule;
    this.#tokens = rule.burst;
    this.#refilledAt = now;
  }

  /** Returns how many whole tokens there are. */
  available(now: number): number {
    this.#refill(now);
    return Math.floor(this.#tokens + HAIR);
  }

  take(count: number): void {
    this.#tokens -= count;
  }

  /** A reservation that was not used. */
  giveBack(count: number): void {
    this.#tokens = Math.min(this.#rule.burst, this.#tokens + count);
  }

  /** When the next whole token will be there. */
  nextAt(now: number): number {
    this.#refill(now);
    const missing = 1 - this.#tokens;
    if (missing <= HAIR) return now;
    return now + Math.max(1, Math.ceil((missing / this.#rule.perSecond) * 1_000 - HAIR));
  }

  #refill(now: number): void {
    // A clock that was set back must not freeze the lane until it has caught up.
    const elapsedMs = Math.max(0, now - this.#refilledAt);
    this.#refilledAt = now;
    this.#tokens = Math.min(this.#rule.burst, this.#tokens + (elapsedMs / 1_000) * this.#rule.perSecond);
  }
}
