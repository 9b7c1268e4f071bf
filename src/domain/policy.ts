/**
 * Retry policies as data and one pure function: (rule, failure, attempt, now, random) -> when next, or never.
 * Jitter is only ever added, so a delay in the rule is a lower bound that tests and receivers may rely on.
 */
import type { Failed } from "./attempt.ts";
import type { Decision } from "./delivery.ts";
import { DAY, HOUR, MINUTE, SECOND } from "./duration.ts";

export type RetryRule =
  | { readonly kind: "ladder"; readonly delaysMs: readonly number[]; readonly jitter: number }
  | {
      readonly kind: "exponential";
      readonly delayMs: number;
      readonly factor: number;
      readonly delayMaxMs: number;
      readonly attemptsMax: number;
      /** No attempt starts later than this after the delivery was made; null: no limit. */
      readonly ageMaxMs: number | null;
      readonly jitter: number;
    }
  | {
      /** Two ladders, one for receivers that ask for a pause, one for all else. The last step repeats. */
      readonly kind: "tiers";
      readonly fastMs: readonly number[];
      readonly slowMs: readonly number[];
      readonly attemptsMax: number;
      readonly jitter: number;
    };

/** The example schedule of the Standard Webhooks specification: ten attempts over about three days. */
export const STANDARD_RETRY: RetryRule = {
  kind: "ladder",
  delaysMs: [
    5 * SECOND,
    5 * MINUTE,
    30 * MINUTE,
    2 * HOUR,
    5 * HOUR,
    10 * HOUR,
    14 * HOUR,
    20 * HOUR,
    24 * HOUR,
  ],
  jitter: 0.2,
};

export interface PolicyInput {
  readonly rule: RetryRule;
  readonly failed: Failed;
  /** 1 for the first attempt of the present retry budget. */
  readonly attempt: number;
  /** Attempts of earlier budgets: before the last replay; absent: none. */
  readonly attemptsBefore?: number;
  readonly policyState: string | null;
  /** JSON of the dialect that made the delivery; null or absent without. */
  readonly spec?: string | null;
  readonly createdAt: number;
  readonly now: number;
  /** Uniform in [0, 1): what the jitter is made of. */
  readonly random: number;
}

export type Policy = (input: PolicyInput) => Decision;

/** Retry-After is believed up to the longest step of a rule, but never beyond a day. */
const RETRY_AFTER_MAX_MS = DAY;

/**
 * The native policy. Everything that is no success retries until the rule is used up; Retry-After on 429 and
 * 503 is a minimum, capped at the rule's longest step.
 */
export function standardPolicy(input: PolicyInput): Decision {
  const { rule, failed, attempt, now } = input;
  const delayMs = nextDelayMs(rule, attempt);
  if (delayMs === null) return { kind: "dead" };
  const jittered = delayMs * (1 + rule.jitter * input.random);
  const asked = failed.status === 429 || failed.status === 503 ? (failed.retryAfterMs ?? 0) : 0;
  const at = Math.round(now + Math.max(jittered, Math.min(asked, longestDelayMs(rule))));
  if (rule.kind === "exponential" && rule.ageMaxMs !== null && at > input.createdAt + rule.ageMaxMs) {
    return { kind: "dead" };
  }
  return { kind: "retry", at, policyState: null };
}

/**
 * Returns the wait after the given failed attempt (1-based), without jitter; null when the rule is used up.
 */
export function nextDelayMs(rule: RetryRule, attempt: number): number | null {
  if (rule.kind === "ladder") return rule.delaysMs[attempt - 1] ?? null;
  if (attempt >= rule.attemptsMax) return null;
  if (rule.kind === "tiers") return rule.slowMs[attempt - 1] ?? rule.slowMs.at(-1) ?? 0;
  // factor ** attempt overflows to Infinity for long series; the cap makes that harmless, except for 0 *
  // Infinity.
  if (rule.delayMs === 0) return 0;
  return Math.min(rule.delayMs * rule.factor ** (attempt - 1), rule.delayMaxMs);
}

function longestDelayMs(rule: RetryRule): number {
  if (rule.kind === "exponential") return Math.min(rule.delayMaxMs, RETRY_AFTER_MAX_MS);
  const delaysMs = rule.kind === "ladder" ? rule.delaysMs : [...rule.fastMs, ...rule.slowMs];
  return Math.min(Math.max(0, ...delaysMs), RETRY_AFTER_MAX_MS);
}
