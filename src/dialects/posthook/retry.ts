/**
 * Retries (reference section 8): a hook's own policy, read and checked, and when the next attempt is due.
 * Whatever went wrong counts alike; what a receiver asks for in Retry-After does not count at all.
 */
import { SECOND } from "../../domain/duration.ts";
import { AppError } from "../../domain/errors.ts";
import { nextDelayMs, type Policy, type RetryRule } from "../../domain/policy.ts";
import { type RetryOverride, specOf } from "./spec.ts";

const FACTOR = 2;
/** "Random 0 to 25 %" in the SDK's types; only ever added. */
const JITTER = 0.25;

/** Returns the override of a request; throws invalid_request outside of the documented ranges. */
export function readOverride(value: unknown): RetryOverride {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new AppError("invalid_request", "retryOverride must be an object");
  }
  const given = value as Readonly<Record<string, unknown>>;
  const minRetries = integer(given.minRetries, "minRetries", [1, 15]);
  const delaySecs = integer(given.delaySecs, "delaySecs", [5, 60]);
  const { strategy, jitter } = given;
  if (strategy !== "fixed" && strategy !== "exponential") {
    throw new AppError("invalid_request", 'retryOverride.strategy must be "fixed" or "exponential"');
  }
  if (jitter !== undefined && jitter !== null && typeof jitter !== "boolean") {
    throw new AppError("invalid_request", "retryOverride.jitter must be a boolean");
  }
  const base = { minRetries, delaySecs, strategy };
  const shaken = typeof jitter === "boolean" ? { jitter } : {};
  // Exponential members beside "fixed" mean nothing and are not kept.
  if (strategy === "fixed") return { ...base, strategy, ...shaken };
  const maxDelaySecs = integer(given.maxDelaySecs, "maxDelaySecs", [60, 3_600]);
  return { ...base, strategy, ...factorIn(given.backoffFactor), maxDelaySecs, ...shaken };
}

function factorIn(value: unknown): { backoffFactor?: number } {
  if (value === undefined || value === null) return {};
  if (typeof value !== "number" || value < 1.1 || value > 4) {
    throw new AppError("invalid_request", "retryOverride.backoffFactor must be from 1.1 to 4.0");
  }
  return { backoffFactor: value };
}

function integer(value: unknown, name: string, [min, max]: readonly [number, number]): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) return value;
  throw new AppError("invalid_request", `retryOverride.${name} must be an integer from ${min} to ${max}`);
}

function ruleOf(override: RetryOverride): RetryRule {
  const { minRetries, delaySecs, strategy, backoffFactor = FACTOR, maxDelaySecs, jitter } = override;
  const isFixed = strategy === "fixed";
  return {
    kind: "exponential",
    delayMs: delaySecs * SECOND,
    factor: isFixed ? 1 : backoffFactor,
    delayMaxMs: (isFixed ? delaySecs : (maxDelaySecs ?? delaySecs)) * SECOND,
    attemptsMax: 1 + minRetries,
    ageMaxMs: null,
    jitter: jitter === true ? JITTER : 0,
  };
}

/** Section 8: maxAttempts is one more than the retries. */
export function attemptsMaxOf(spec: string | null, projectRule: RetryRule): number {
  const { retryOverride } = specOf(spec);
  const rule = retryOverride === undefined ? projectRule : ruleOf(retryOverride);
  return rule.kind === "exponential" ? rule.attemptsMax : 1;
}

export const posthookPolicy: Policy = ({ rule: projectRule, attempt, spec = null, now, random }) => {
  const { retryOverride } = specOf(spec);
  const rule = retryOverride === undefined ? projectRule : ruleOf(retryOverride);
  const delayMs = nextDelayMs(rule, attempt);
  if (delayMs === null) return { kind: "dead" };
  return { kind: "retry", at: Math.round(now + delayMs * (1 + rule.jitter * random)), policyState: null };
};
