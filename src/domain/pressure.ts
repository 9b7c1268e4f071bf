/**
 * Pressure: what a row of outcomes says about a target, apart from any single delivery. The breaker is a pure
 * state machine over (state, outcome, now); who shares one, what counts and what an open one does is a
 * strategy.
 *
 *   closed     attempts flow; `failures` counts consecutive ones that the strategy counts
 *   open       none until `retryAt`                  <- a row or a rate of failures, or a probe that failed
 *   half_open  one probe is out; its outcome decides                 <- first taker at or after retryAt
 */
import type { Outcome } from "./attempt.ts";
import { DAY, HOUR, MINUTE, SECOND } from "./duration.ts";

export interface BreakerRule {
  /** Consecutive failures that open it; 0: a row of failures never does. */
  readonly failures: number;
  /** Wait before the first probe; it doubles with each failed probe up to `recoveryMaxMs`. */
  readonly recoveryMs: number;
  /** Ten minutes when absent; the same as `recoveryMs` for a wait that never grows. */
  readonly recoveryMaxMs?: number;
  /** Also opens it: this share of failures among the outcomes of a window. Absent: never. */
  readonly rate?: FailureRate;
  /** Whose breaker it is, when that is not for the pressure rule to say. */
  readonly scope?: PressureScope;
}

export interface FailureRate {
  /** Above 0, at most 1. */
  readonly ratio: number;
  /** Outcomes older than this no longer count; the younger half of it always does. */
  readonly windowMs: number;
  /** Fewer outcomes in the window never open it. */
  readonly samplesMin: number;
}

/** Who shares a breaker: one endpoint, all of one origin, or all of one profile in a project. */
export type PressureScope = "endpoint" | "origin" | "global";

/**
 * Ten failures in a row are no hiccup at the default concurrency of 16, and a hiccup costs only 30 s. A
 * guess.
 */
export const DEFAULT_BREAKER: BreakerRule = { failures: 10, recoveryMs: 30 * SECOND };
const RECOVERY_MAX_MS = 10 * MINUTE;

export interface BreakerState {
  readonly kind: "closed" | "open" | "half_open";
  readonly failures: number;
  readonly retryAt: number;
  /** Openings in a row without a success between them. */
  readonly openings: number;
  /** While closed, and only under a rule with a rate. */
  readonly window?: OutcomeWindow;
}

/** Outcomes in two halves of a window: the running one, and the one before it. */
interface OutcomeWindow {
  readonly startedAt: number;
  readonly total: number;
  readonly failed: number;
  readonly lastTotal: number;
  readonly lastFailed: number;
}

export const CLOSED: BreakerState = { kind: "closed", failures: 0, retryAt: 0, openings: 0 };

export interface Pressure {
  readonly scope: PressureScope;
  /** `transport`: any HTTP answer is a success for the breaker; `failures`: every failed outcome counts. */
  readonly counts: "transport" | "failures";
  /** `park`: an open breaker holds deliveries back; `spend`: it uses up their attempts. */
  readonly onOpen: "park" | "spend";
  /** Statuses on which the endpoint is disabled. */
  readonly disableOn: readonly number[];
  /** After so long of nothing but failures an endpoint that says nothing else is disabled. Absent: never. */
  readonly disableAfterMs?: number;
  /** What a receiver that asks for less gets. Absent: only the delivery waits, and its lane goes on. */
  readonly slowDown?: SlowDown;
}

export interface SlowDown {
  /** Answers that ask for it. */
  readonly statuses: readonly number[];
  /** The longest Retry-After that a lane rests for. */
  readonly restMaxMs: number;
}

export const NATIVE_PRESSURE: Pressure = {
  scope: "endpoint",
  counts: "failures",
  onOpen: "park",
  disableOn: [410],
  disableAfterMs: 5 * DAY,
  slowDown: { statuses: [429, 503], restMaxMs: HOUR },
};

/** Returns the breaker after one outcome. Called for every attempt, the probe included. */
export function recordOutcome(
  state: BreakerState,
  outcome: Outcome,
  context: { readonly pressure: Pressure; readonly rule: BreakerRule; readonly now: number },
): BreakerState {
  const { rule, now } = context;
  // Switched off, perhaps while it was open: it must not stay open, for nothing would close it.
  if (rule.failures === 0 && rule.rate === undefined) return CLOSED;
  const isFailure = countsAsFailure(outcome, context.pressure);
  const window =
    state.kind === "closed" && rule.rate ? observe(state.window, isFailure, rule.rate, now) : null;
  if (!isFailure) return window === null ? CLOSED : { ...CLOSED, window };
  const failures = state.failures + 1;
  const isRow = rule.failures > 0 && failures >= rule.failures;
  if (state.kind === "closed" && !isRow && !isTooMany(window, rule.rate)) {
    return window === null ? { ...state, failures } : { ...state, failures, window };
  }
  // Attempts that were under way when it opened still come back; they must not push the probe further out.
  if (state.kind === "open") return state;
  const openings = state.openings + 1;
  const waitMs = Math.min(rule.recoveryMs * 2 ** (openings - 1), rule.recoveryMaxMs ?? RECOVERY_MAX_MS);
  return { kind: "open", failures, retryAt: now + waitMs, openings };
}

/**
 * Counts one outcome. Two halves are kept in place of single outcomes, so that a window costs the same at any
 * rate.
 */
function observe(
  window: OutcomeWindow | undefined,
  isFailure: boolean,
  { windowMs }: FailureRate,
  now: number,
): OutcomeWindow {
  const failed = isFailure ? 1 : 0;
  const ageMs = window === undefined ? Number.POSITIVE_INFINITY : now - window.startedAt;
  const fresh = { startedAt: now, total: 1, failed, lastTotal: 0, lastFailed: 0 };
  if (window === undefined || ageMs >= windowMs || ageMs < 0) return fresh;
  if (ageMs >= windowMs / 2) return { ...fresh, lastTotal: window.total, lastFailed: window.failed };
  return { ...window, total: window.total + 1, failed: window.failed + failed };
}

function isTooMany(window: OutcomeWindow | null, rate: FailureRate | undefined): boolean {
  if (window === null || rate === undefined) return false;
  const total = window.total + window.lastTotal;
  return total >= rate.samplesMin && (window.failed + window.lastFailed) / total >= rate.ratio;
}

/** Returns the half-open state when a probe may go out now, else null. */
export function tryProbe(state: BreakerState, now: number): BreakerState | null {
  return state.kind === "open" && now >= state.retryAt ? { ...state, kind: "half_open" } : null;
}

/**
 * Gives the probe back when it was never sent (cancelled, lane closed), or the breaker would wait for it
 * forever.
 */
export function abandonProbe(state: BreakerState, now: number): BreakerState {
  return state.kind === "half_open" ? { ...state, kind: "open", retryAt: now } : state;
}

function countsAsFailure(outcome: Outcome, pressure: Pressure): boolean {
  if (outcome.kind !== "failed") return false;
  if (pressure.counts === "failures") return true;
  return outcome.failure === "transport" || outcome.failure === "timeout" || outcome.failure === "blocked";
}
