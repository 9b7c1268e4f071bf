import type { Clock, Timer } from "../../src/runtime/clock.ts";

interface Pending {
  at: number;
  order: number;
  fire: () => void;
}

/**
 * A clock that stands still until a test moves it. Timers fire in due order, ties in the order they were set.
 */
export class FakeClock implements Clock {
  readonly kind = "virtual";
  #now: number;
  #order = 0;
  readonly #timers = new Set<Pending>();

  constructor(now = Date.UTC(2026, 0, 1)) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  wallNow(): number {
    return this.#now;
  }

  monotonicMs(): number {
    return this.#now;
  }

  setTimer(at: number, fire: () => void): Timer {
    const pending = { at, order: this.#order++, fire };
    this.#timers.add(pending);
    return { cancel: () => void this.#timers.delete(pending) };
  }

  setWallTimer(delayMs: number, fire: () => void): Timer {
    return this.setTimer(this.#now + delayMs, fire);
  }

  /**
   * Steps the wall clock without firing what became due, as a clock correction would. Negative steps go back.
   */
  step(byMs: number): void {
    this.#now += byMs;
  }

  /** Moves time forward and fires every timer on the way, at its own instant. */
  advance(byMs: number): void {
    const target = this.#now + byMs;
    for (let next = this.#nextBy(target); next; next = this.#nextBy(target)) {
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.fire();
    }
    this.#now = target;
  }

  /** The instant of the earliest timer, or null. Lets a test jump exactly to what comes next. */
  nextTimerAt(): number | null {
    return this.#nextBy(Number.POSITIVE_INFINITY)?.at ?? null;
  }

  #nextBy(target: number): Pending | null {
    let best: Pending | null = null;
    for (const pending of this.#timers) {
      if (pending.at > target) continue;
      if (!best || pending.at < best.at || (pending.at === best.at && pending.order < best.order))
        best = pending;
    }
    return best;
  }
}
