/**
 * Pressure: what a row of outcomes says about a target, apart from any single delivery. The breaker is a pure
 * state machine over (state, outcome, now); who shares one, what counts and what an open one does is a
 * strategy.
 *
 *   closed     attempts flow; `failures` counts consecutive ones that the strategy counts
 *   open       none until `retryAt`                                  <- threshold reached, or a probe failed
 *   half_open  one probe is out; its outcome decides                 <- first taker at or after retryAt
 */
import type { Outcome } from "./attempt.ts";
import { MINUTE, SECOND } from "./duration.ts";

export interface BreakerRule {
  /** Consecutive failures that open it; 0 switches it off. */
  readonly failures: number;
  /** Wait before the first probe; it doubles with each failed probe up to `recoveryMaxMs`. */
  readonly recoveryMs: number;
  /** Ten minutes when absent; the same as `recoveryMs` for a wait that never grows. */
  readonly recoveryMaxMs?: number;
  /** Whose breaker it is, when that is not for the pressure rule to say. */
  readonly scope?: PressureScope;
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
}

export const NATIVE_PRESSURE: Pressure = {
  scope: "endpoint",
  counts: "failures",
  onOpen: "park",
  disableOn: [410],
};

/** Returns the breaker after one outcome. Called for every attempt, the probe included. */
export function recordOutcome(
  state: BreakerState,
  outcome: Outcome,
  context: { readonly pressure: Pressure; readonly rule: BreakerRule; readonly now: number },
): BreakerState {
  if (!countsAsFailure(outcome, context.pressure)) return CLOSED;
  const { rule, now } = context;
  // Switched off, perhaps while it was open: it must not stay open, for nothing would close it.
  if (rule.failures === 0) return CLOSED;
  const failures = state.failures + 1;
  if (state.kind === "closed" && failures < rule.failures) return { ...state, failures };
  // Attempts that were under way when it opened still come back; they must not push the probe further out.
  if (state.kind === "open") return state;
  const openings = state.openings + 1;
  const waitMs = Math.min(rule.recoveryMs * 2 ** (openings - 1), rule.recoveryMaxMs ?? RECOVERY_MAX_MS);
  return { kind: "open", failures, retryAt: now + waitMs, openings };
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
