/** When attempts in flight must end, and what ends them: their timeout, or a stop of the whole sender. */
import type { Clock, Timer } from "./clock.ts";

export interface CutReason {
  readonly reason: "timeout" | "aborted";
  readonly text: string;
}

/** The longest delay a timer takes (2^31-1 ms); a longer one would fire at once. */
const TIMER_MAX_MS = 2_147_483_647;

/**
 * The moment after which nothing may happen any more in one attempt, and why: time is up, or it was aborted.
 */
export class AttemptDeadline {
  readonly timeoutMs: number;
  readonly expiresMs: number;
  failure: CutReason | null = null;
  readonly #controller = new AbortController();

  constructor(timeoutMs: number, expiresMs: number) {
    this.timeoutMs = timeoutMs;
    this.expiresMs = expiresMs;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /**
   * Settles like the promise, or rejects at the deadline if that comes first. For work that takes no signal.
   */
  race<T>(work: Promise<T>): Promise<T> {
    const { signal } = this;
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      work.then(resolve, reject);
    });
  }

  cut(failure: CutReason): void {
    this.failure ??= failure;
    this.#controller.abort();
  }
}

/**
 * All attempts in flight, by their timeout. Attempts of one timeout expire in the order in which they began,
 * so one timer per distinct timeout serves them all; a timer for each would cost more than its request's
 * headers.
 */
export class AttemptDeadlines {
  readonly #clock: Clock;
  readonly #byTimeout = new Map<number, { readonly running: Set<AttemptDeadline>; timer: Timer | null }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  begin(timeoutMs: number): AttemptDeadline {
    const known = this.#byTimeout.get(timeoutMs);
    const group = known ?? { running: new Set<AttemptDeadline>(), timer: null };
    if (!known) this.#byTimeout.set(timeoutMs, group);
    const deadline = new AttemptDeadline(timeoutMs, this.#clock.monotonicMs() + timeoutMs);
    group.running.add(deadline);
    if (group.timer === null) this.#arm(timeoutMs, timeoutMs);
    return deadline;
  }

  /** Must be called once the attempt is over. The timer stays: it finds the next one, or nothing. */
  end(deadline: AttemptDeadline): void {
    this.#byTimeout.get(deadline.timeoutMs)?.running.delete(deadline);
  }

  abortAll(): void {
    for (const { running } of this.#byTimeout.values()) {
      for (const deadline of running) deadline.cut({ reason: "aborted", text: "aborted" });
    }
  }

  #arm(timeoutMs: number, delayMs: number): void {
    const group = this.#byTimeout.get(timeoutMs);
    if (!group) return;
    group.timer = this.#clock.setWallTimer(Math.min(delayMs, TIMER_MAX_MS), () => this.#expire(timeoutMs));
  }

  #expire(timeoutMs: number): void {
    const group = this.#byTimeout.get(timeoutMs);
    if (!group) return;
    group.timer = null;
    const nowMs = this.#clock.monotonicMs();
    for (const deadline of group.running) {
      // Timers may fire up to a millisecond early.
      if (deadline.expiresMs > nowMs + 1) {
        this.#arm(timeoutMs, deadline.expiresMs - nowMs);
        return;
      }
      deadline.cut({ reason: "timeout", text: `timed out after ${timeoutMs} ms` });
      group.running.delete(deadline);
    }
    this.#byTimeout.delete(timeoutMs);
  }
}
