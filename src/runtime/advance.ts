/**
 * Moves a virtual clock: from timer to timer, and at each instant only on when the engine has settled. So
 * whatever is due happens at its own instant and in order, however far the clock goes in one call.
 */
import { MINUTE } from "../domain/duration.ts";
import { AppError } from "../domain/errors.ts";
import { afterTurn } from "./clock.ts";
import type { VirtualClock } from "./virtual-clock.ts";

/** A service that knows whether it has work at this instant. */
export interface Settling {
  /** True when nothing of its own is due, on its way or being written; false must not last for ever. */
  isSettled(now: number): boolean;
}

export interface AdvanceOptions {
  readonly clock: VirtualClock;
  /** Everything that has to be at rest before time goes on. */
  readonly engine: Settling & { readonly metrics: { readonly attemptCount: number } };
  /** Bounds of one call; the defaults when absent. */
  readonly stepsMax?: number;
  readonly realMsMax?: number;
}

export interface Advanced {
  readonly from: number;
  readonly now: number;
  /** How many instants there were at which something was due, be it only the sweep of what is old. */
  readonly stepCount: number;
  readonly attemptCount: number;
  /** False: a bound of the call was reached first. Asking again for the same instant goes on. */
  readonly isComplete: boolean;
}

/** More than a schedule of every minute has in two months. */
const STEPS_MAX = 100_000;
/** Attempts take real time, and a receiver that hangs takes all of its timeout. */
const REAL_MS_MAX = 10 * MINUTE;
/** Between two services there may be a turn in which neither knows of the work. */
const QUIET_TURNS = 3;
/** After so many turns something waits for the network; asking every turn would only burn the processor. */
const BUSY_TURNS = 200;
const ASK_EVERY_MS = 1;

export class Advance {
  readonly #options: AdvanceOptions;
  #isRunning = false;
  #isStopped = false;

  constructor(options: AdvanceOptions) {
    this.#options = options;
  }

  /**
   * Resolves when the clock is at `target` and the engine has settled there. Throws AppError: conflict while
   * another call moves the clock, shutting_down when stop() came first.
   */
  async to(target: number): Promise<Advanced> {
    if (this.#isRunning) throw new AppError("conflict", "the clock is being advanced already");
    this.#isRunning = true;
    try {
      return await this.#walk(target);
    } finally {
      this.#isRunning = false;
    }
  }

  /** Ends a walk where it is. */
  stop(): void {
    this.#isStopped = true;
  }

  async #walk(target: number): Promise<Advanced> {
    const { clock, engine, stepsMax = STEPS_MAX, realMsMax = REAL_MS_MAX } = this.#options;
    const { metrics } = engine;
    const firstAttempt = metrics.attemptCount;
    const from = clock.now();
    const untilMs = clock.monotonicMs() + realMsMax;
    let stepCount = 0;
    const resultOf = (isComplete: boolean) => {
      const attemptCount = metrics.attemptCount - firstAttempt;
      return { from, now: clock.now(), stepCount, attemptCount, isComplete };
    };
    if (!(await this.#settle(untilMs))) return resultOf(false);
    for (;;) {
      const next = clock.nextTimerAt();
      if (next === null || next > target) break;
      if (stepCount >= stepsMax || clock.monotonicMs() >= untilMs) return resultOf(false);
      clock.moveTo(next);
      stepCount += 1;
      if (!(await this.#settle(untilMs))) return resultOf(false);
    }
    clock.moveTo(target);
    return resultOf(true);
  }

  /** Resolves with true when nothing happens any more at this instant, with false when time has run out. */
  async #settle(untilMs: number): Promise<boolean> {
    const { clock } = this.#options;
    let quietTurns = 0;
    for (let turn = 0; quietTurns < QUIET_TURNS; turn += 1) {
      await this.#pause(turn);
      if (this.#isStopped) throw new AppError("shutting_down", "the server is stopping");
      quietTurns = this.#isSettled() ? quietTurns + 1 : 0;
      if (quietTurns === 0 && clock.monotonicMs() >= untilMs) return false;
    }
    return true;
  }

  #isSettled(): boolean {
    const { clock, engine } = this.#options;
    const now = clock.now();
    const nextAt = clock.nextTimerAt();
    return (nextAt === null || nextAt > now) && engine.isSettled(now);
  }

  #pause(turn: number): Promise<void> {
    const { clock } = this.#options;
    return new Promise((resolve) => {
      if (turn < BUSY_TURNS) afterTurn(resolve);
      else clock.setWallTimer(ASK_EVERY_MS, resolve);
    });
  }
}
