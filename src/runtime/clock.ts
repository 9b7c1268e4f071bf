/**
 * Time, in one place. Two kinds of it exist and must not be mixed:
 *
 *   now(), setTimer()          what schedules, backoff and retention follow; a virtual clock moves it by hand
 *   wallNow(), setWallTimer()  the machine's own time: signature timestamps, tolerances, leases, heartbeats
 *
 * monotonicMs() only measures durations. Nothing outside this file calls Date.now, performance.now or
 * setTimeout.
 */

export interface Timer {
  cancel(): void;
}

export interface Clock {
  readonly kind: "system" | "virtual";
  /** Epoch milliseconds, integer. May step when the machine's clock is set. */
  now(): number;
  /** Epoch milliseconds of the machine, also under a virtual clock. */
  wallNow(): number;
  /** Milliseconds with fraction from an arbitrary origin; never steps back. */
  monotonicMs(): number;
  /** Fires once when now() has reached `at`, also when the clock was stepped; never earlier. */
  setTimer(at: number, fire: () => void): Timer;
  /** Fires once after `delayMs` of real time. */
  setWallTimer(delayMs: number, fire: () => void): Timer;
}

/**
 * setTimeout overflows above 2^31-1 ms, and counts on when the wall clock is set or the machine has been
 * asleep; so long waits are cut. Whatever leaps, a timer is at most this late, well within what the schedules
 * call a hiccup. There are a handful of timers, so it costs a few wake-ups per second.
 */
const LONGEST_SLEEP_MS = 1_000;

export class SystemClock implements Clock {
  readonly kind = "system";
  readonly #longestSleepMs: number;

  constructor(longestSleepMs = LONGEST_SLEEP_MS) {
    this.#longestSleepMs = longestSleepMs;
  }

  now(): number {
    return Date.now();
  }

  wallNow(): number {
    return Date.now();
  }

  monotonicMs(): number {
    return performance.now();
  }

  setTimer(at: number, fire: () => void): Timer {
    let handle: ReturnType<typeof setTimeout>;
    const arm = () => {
      const waitMs = at - Date.now();
      if (waitMs <= 0) handle = setTimeout(fire, 0);
      else
        handle = setTimeout(
          () => (Date.now() >= at ? fire() : arm()),
          Math.min(waitMs, this.#longestSleepMs),
        );
    };
    arm();
    return { cancel: () => clearTimeout(handle) };
  }

  setWallTimer(delayMs: number, fire: () => void): Timer {
    const handle = setTimeout(fire, delayMs);
    return { cancel: () => clearTimeout(handle) };
  }
}

/** Stops the whole thread: for the very last thing that a process does. */
export function standStill(ms: number): void {
  Bun.sleepSync(ms);
}

/** Runs `fire` when the current turn of the event loop is over, behind the answers that it has ready. */
export function afterTurn(fire: () => void): void {
  setImmediate(fire);
}
