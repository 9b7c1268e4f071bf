/**
 * Rates per ordering key: a generic cell rate per key of a lane, so that one number says all there is to
 * know. Keys that could send again at once are forgotten; after a restart all are. A million keys cost
 * nothing unless they have been sent something within the last burst.
 */
import type { RateRule } from "../domain/endpoint.ts";

/** Keys between two looks for forgettable ones, at least. */
const SWEEP_MIN = 1_024;

export class KeyRates {
  /** By lane and key: when as many attempts as were made would have been made at the exact rate. */
  readonly #dueBy = new Map<string, number>();
  #sweepAt = SWEEP_MIN;

  get size(): number {
    return this.#dueBy.size;
  }

  /** Takes one attempt, or returns the instant at which the key may make the next. */
  take(place: { readonly lane: number; readonly line: string }, rule: RateRule, now: number): number | null {
    const key = `${place.lane} ${place.line}`;
    const intervalMs = 1_000 / rule.perSecond;
    // A clock that was set back must not freeze the key until it has caught up.
    const limit = now + rule.burst * intervalMs;
    const dueBy = Math.min(Math.max(this.#dueBy.get(key) ?? now, now), limit);
    const waitMs = dueBy - (rule.burst - 1) * intervalMs - now;
    // Sums of fractions come out a hair off; an instant is a whole millisecond anyway.
    if (waitMs >= 1e-6) return now + Math.max(1, Math.ceil(waitMs - 1e-6));
    this.#dueBy.set(key, dueBy + intervalMs);
    if (this.#dueBy.size >= this.#sweepAt) this.#sweep(now);
    return null;
  }

  #sweep(now: number): void {
    for (const [key, dueBy] of this.#dueBy) if (dueBy <= now) this.#dueBy.delete(key);
    this.#sweepAt = Math.max(SWEEP_MIN, this.#dueBy.size * 2);
  }
}
