/**
 * Awaited acknowledgements. A receiver that took a delivery and promised to report later (202 with a
 * deadline) leaves it `awaiting`; it holds no slot and no socket. This service lets the deadline expire into
 * a failed attempt, and applies an acknowledgement that came in time.
 */
import { type AckReport, type AttemptRecord, type Outcome, reportedOutcome } from "../domain/attempt.ts";
import { showId } from "../domain/id.ts";
import type { Clock, Timer } from "./clock.ts";
import type { Directory } from "./directory.ts";
import type { Log } from "./log.ts";
import type { DeadlineStore, Located } from "./ports.ts";
import type { Settler } from "./settler.ts";

export interface DeadlinesOptions {
  readonly clock: Clock;
  readonly store: DeadlineStore;
  readonly settler: Settler;
  readonly directory: Directory;
  readonly log: Log;
}

const BATCH = 100;
const RETRY_MS = 1_000;

export class Deadlines {
  readonly #options: DeadlinesOptions;
  #timer: { at: number; timer: Timer } | null = null;
  #isRunning = false;
  #sweep: Promise<void> = Promise.resolve();
  #sweepCount = 0;

  constructor(options: DeadlinesOptions) {
    this.#options = options;
  }

  /** `firstAt` is the earliest deadline the store holds, or null. */
  start(firstAt: number | null): void {
    this.#isRunning = true;
    if (firstAt !== null) this.noteDue(firstAt);
  }

  async stop(): Promise<void> {
    this.#isRunning = false;
    this.#timer?.timer.cancel();
    await this.#sweep;
  }

  /** True when no deadline has passed that was not judged. */
  isSettled(now: number): boolean {
    return this.#sweepCount === 0 && (this.#timer === null || this.#timer.at > now);
  }

  noteDue(at: number): void {
    if (!this.#isRunning || (this.#timer !== null && this.#timer.at <= at)) return;
    this.#timer?.timer.cancel();
    this.#timer = { at, timer: this.#options.clock.setTimer(at, () => this.#wake()) };
  }

  /** Applies a receiver's report. False: the delivery no longer awaits one, or not for that attempt. */
  async acknowledge(located: Located, report: AckReport): Promise<boolean> {
    const { state, dueAt, attemptCount } = located.position;
    if (state !== "awaiting" || (report.attempt !== null && report.attempt !== attemptCount)) return false;
    if (dueAt !== null && dueAt <= this.#options.clock.now()) return false;
    return this.#settle(located, reportedOutcome(report));
  }

  #wake(): void {
    this.#timer = null;
    this.#sweepCount += 1;
    // One after the other: two at a time would judge the same deliveries twice.
    this.#sweep = this.#sweep
      .then(() => this.#expire())
      .catch((error: unknown) => {
        this.#options.log.error("deadline.sweep_failed", { error: String(error) });
        this.noteDue(this.#options.clock.now() + RETRY_MS);
      })
      .finally(() => {
        this.#sweepCount -= 1;
      });
  }

  async #expire(): Promise<void> {
    const { store, clock } = this.#options;
    for (;;) {
      const due = await store.dueDeadlines({ now: clock.now(), limit: BATCH });
      if (!this.#isRunning) return;
      if (due.length === 0) break;
      const outcome: Outcome = {
        kind: "failed",
        failure: "deadline",
        status: null,
        text: "no acknowledgement before the deadline",
        retryAfterMs: null,
      };
      const settled = await Promise.all(due.map((located) => this.#settle(located, outcome)));
      if (!settled.includes(true)) {
        // All were settled by somebody else, or cannot be settled at all; asking again at once could go on
        // for ever.
        this.noteDue(clock.now() + RETRY_MS);
        return;
      }
    }
    const [next] = await store.dueDeadlines({ now: Number.MAX_SAFE_INTEGER, limit: 1 });
    if (next && next.position.dueAt !== null) this.noteDue(next.position.dueAt);
  }

  /** The report finishes the attempt that was answered with the promise; it is no attempt of its own. */
  #settle(located: Located, outcome: Outcome): Promise<boolean> {
    const endpoint = this.#options.directory.endpointOfLane(located.position.lane);
    if (!endpoint) {
      this.#options.log.error("deadline.no_endpoint", { delivery: showId("delivery", located.facts.id) });
      return Promise.resolve(false);
    }
    const now = this.#options.clock.now();
    const attempt: AttemptRecord = {
      number: located.position.attemptCount,
      startedAt: now,
      durationMs: 0,
      outcome: outcome.kind,
      status: null,
      failure: outcome.kind === "failed" ? outcome.failure : null,
      error: outcome.kind === "failed" ? outcome.text : null,
      excerpt: null,
      detail: null,
    };
    return this.#options.settler.settle({
      delivery: located,
      endpoint,
      outcome,
      attempt,
      followUps: [],
      countsForBreaker: false,
    });
  }
}
