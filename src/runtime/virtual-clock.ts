/**
 * A clock that stands still until it is moved: `serve --clock virtual`. now() and setTimer() follow it; the
 * machine's own time goes on beside it, because sockets, leases and signature tolerances live in that.
 */
import { afterTurn, type Clock, SystemClock, type Timer } from "./clock.ts";

interface Pending {
  readonly at: number;
  readonly fire: () => void;
}

export class VirtualClock implements Clock {
  readonly kind = "virtual";
  readonly #wall: Clock;
  /** In the order in which they were set. Each service has one at most, so a scan is cheap. */
  readonly #timers = new Set<Pending>();
  #now: number;

  constructor(startAt: number, wall: Clock = new SystemClock()) {
    this.#now = startAt;
    this.#wall = wall;
  }

  now(): number {
    return this.#now;
  }

  wallNow(): number {
    return this.#wall.wallNow();
  }

  monotonicMs(): number {
    return this.#wall.monotonicMs();
  }

  setTimer(at: number, fire: () => void): Timer {
    const pending = { at, fire };
    this.#timers.add(pending);
    // What is due already waits for no advance, only for the caller to finish.
    if (at <= this.#now) afterTurn(() => this.#fire(pending));
    return { cancel: () => void this.#timers.delete(pending) };
  }

  setWallTimer(delayMs: number, fire: () => void): Timer {
    return this.#wall.setWallTimer(delayMs, fire);
  }

  /** When the earliest timer is due, or null when none is set. */
  nextTimerAt(): number | null {
    let earliest: number | null = null;
    for (const { at } of this.#timers) if (earliest === null || at < earliest) earliest = at;
    return earliest;
  }

  /**
   * Goes to an instant, never back, and fires what is due by then, earliest first, ties in the order in which
   * they were set. Whoever moves it goes from timer to timer: one that was passed over would see a time that
   * is not its own.
   */
  moveTo(at: number): void {
    this.#now = Math.max(this.#now, at);
    const due = [...this.#timers].filter((pending) => pending.at <= this.#now);
    for (const pending of due.sort((a, b) => a.at - b.at)) this.#fire(pending);
  }

  #fire(pending: Pending): void {
    // One of the timers before it may have cancelled it.
    if (this.#timers.delete(pending)) pending.fire();
  }
}
