/**
 * The pace of one lane: what its rate, a receiver's wish and a past outage leave of its concurrency.
 *
 *   rate     a token bucket, always
 *   rest     no attempt before an instant: a receiver answered with Retry-After, or connected listeners have
 *            enough. The lane waits, not only the delivery that was answered
 *   ramp     after an outage concurrency grows from one: it doubles each time that as many attempts in a row
 *            succeed, halves with each failure, and is gone once it reaches what the endpoint allows. A
 *            receiver that says "too many" without saying until when halves it, too
 *   drain    after an outage, until nothing overdue is left: a token bucket of its own
 *
 * Nothing of this is stored: after a restart a lane is at full pace, except that it drains what it finds.
 */
import type { Outcome } from "../domain/attempt.ts";
import type { Endpoint } from "../domain/endpoint.ts";
import { DEFAULT_PACING } from "../domain/pacing.ts";
import type { SlowDown } from "../domain/pressure.ts";
import { TokenBucket } from "./rate.ts";

/** A tenth of a second's worth at once, so that a drain neither ticks nor surges. */
const DRAIN_BURST_SHARE = 10;

export class Pace {
  #endpoint: Endpoint;
  #bucket: TokenBucket | null;
  #drain: TokenBucket | null = null;
  #restUntil = 0;
  #ramp: { limit: number; successes: number } | null = null;

  constructor(endpoint: Endpoint, now: number) {
    this.#endpoint = endpoint;
    this.#bucket = newBucket(endpoint, now);
  }

  /** Takes a new definition. A rate that did not change keeps what is left of its burst. */
  define(endpoint: Endpoint, now: number): void {
    const isSameRate = JSON.stringify(this.#endpoint.rate) === JSON.stringify(endpoint.rate);
    if (!isSameRate) this.#bucket = newBucket(endpoint, now);
    this.#endpoint = endpoint;
    if (this.#ramp !== null && this.#ramp.limit >= endpoint.concurrency) this.#ramp = null;
    if (perSecondOf(endpoint) === null) this.#drain = null;
  }

  /** False while something besides concurrency holds the lane back: it must not lease ahead of its slots. */
  get isFree(): boolean {
    return this.#bucket === null && this.#drain === null && this.#ramp === null;
  }

  /** Attempts that may be out at once. */
  get concurrency(): number {
    const { concurrency } = this.#endpoint;
    return this.#ramp === null ? concurrency : Math.min(concurrency, this.#ramp.limit);
  }

  get isDraining(): boolean {
    return this.#drain !== null;
  }

  /** The instant until which nothing goes out, or null. */
  restUntil(now: number): number | null {
    return this.#restUntil > now ? this.#restUntil : null;
  }

  /** Returns how many of `wanted` attempts the rates let start now. */
  available(wanted: number, now: number): number {
    let count = wanted;
    if (this.#bucket !== null) count = Math.min(count, this.#bucket.available(now));
    if (this.#drain !== null) count = Math.min(count, this.#drain.available(now));
    return count;
  }

  take(count: number): void {
    this.#bucket?.take(count);
    this.#drain?.take(count);
  }

  /** Attempts that were not made after all. */
  giveBack(count: number): void {
    this.#bucket?.giveBack(count);
    this.#drain?.giveBack(count);
  }

  /** When the rates let the next attempt go, or null when they do now. */
  nextTokenAt(now: number): number | null {
    if (this.available(1, now) >= 1) return null;
    return Math.max(this.#bucket?.nextAt(now) ?? now, this.#drain?.nextAt(now) ?? now);
  }

  /** The lane opens after an outage. */
  reopen(now: number): void {
    const { concurrency, pacing } = this.#endpoint;
    this.#restUntil = 0;
    if ((pacing?.slowStart ?? DEFAULT_PACING.slowStart) && concurrency > 1) {
      this.#ramp = { limit: 1, successes: 0 };
    }
    this.beginDrain(now);
  }

  /** What is overdue goes out at the pace that was chosen for it. */
  beginDrain(now: number): void {
    const perSecond = perSecondOf(this.#endpoint);
    if (perSecond === null) return;
    this.#drain = new TokenBucket({ perSecond, burst: Math.ceil(perSecond / DRAIN_BURST_SHARE) }, now);
  }

  rest(until: number): void {
    this.#restUntil = Math.max(this.#restUntil, until);
  }

  /** Nothing overdue is left. */
  endDrain(): void {
    this.#drain = null;
  }

  /** Returns true when the lane rests now and did not before. */
  note(outcome: Outcome, slowDown: SlowDown | undefined, now: number): boolean {
    if (outcome.kind !== "failed") {
      this.#grow();
      return false;
    }
    if (this.#ramp !== null) this.#shrink(this.#ramp.limit);
    if (slowDown === undefined || outcome.status === null) return false;
    if (!slowDown.statuses.includes(outcome.status)) return false;
    if (outcome.retryAfterMs === null || outcome.retryAfterMs === 0) {
      if (this.#ramp === null) this.#shrink(this.#endpoint.concurrency);
      return false;
    }
    const until = now + Math.min(outcome.retryAfterMs, slowDown.restMaxMs);
    const isNew = this.#restUntil <= now;
    this.reopen(now);
    this.#restUntil = Math.max(this.#restUntil, until);
    return isNew;
  }

  #grow(): void {
    const ramp = this.#ramp;
    if (ramp === null) return;
    ramp.successes += 1;
    if (ramp.successes < ramp.limit) return;
    ramp.limit *= 2;
    ramp.successes = 0;
    if (ramp.limit >= this.#endpoint.concurrency) this.#ramp = null;
  }

  #shrink(from: number): void {
    if (this.#endpoint.concurrency === 1) return;
    this.#ramp = { limit: Math.max(1, Math.floor(from / 2)), successes: 0 };
  }
}

function newBucket({ rate }: Endpoint, now: number): TokenBucket | null {
  return rate === null ? null : new TokenBucket(rate, now);
}

function perSecondOf({ pacing }: Endpoint): number | null {
  return pacing?.drainPerSecond ?? DEFAULT_PACING.drainPerSecond;
}
