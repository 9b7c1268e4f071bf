import { expect, test } from "bun:test";
import fc from "fast-check";
import { type Failed, parseRetryAfter } from "../../src/domain/attempt.ts";
import { DAY, HOUR, MINUTE, SECOND } from "../../src/domain/duration.ts";
import {
  nextDelayMs,
  type PolicyInput,
  type RetryRule,
  STANDARD_RETRY,
  standardPolicy,
} from "../../src/domain/policy.ts";
import { NOW } from "../support/factory.ts";

const FAILED: Failed = {
  kind: "failed",
  failure: "status",
  status: 500,
  text: "HTTP 500",
  retryAfterMs: null,
};

function input(change: Partial<PolicyInput> = {}): PolicyInput {
  return {
    rule: STANDARD_RETRY,
    failed: FAILED,
    attempt: 1,
    policyState: null,
    createdAt: NOW,
    now: NOW,
    random: 0,
    ...change,
  };
}

/** How long the policy waits, or "dead". */
function waitOf(change: Partial<PolicyInput>): number | "dead" {
  const decision = standardPolicy(input(change));
  return decision.kind === "retry" ? decision.at - NOW : "dead";
}

const EXPONENTIAL: RetryRule = {
  kind: "exponential",
  delayMs: 10 * SECOND,
  factor: 3,
  delayMaxMs: 5 * MINUTE,
  attemptsMax: 6,
  ageMaxMs: null,
  jitter: 0,
};

test("standard waits 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h, then gives up", () => {
  const waits = Array.from({ length: 10 }, (_, index) => waitOf({ attempt: index + 1 }));
  const hours = [2, 5, 10, 14, 20, 24].map((count) => count * HOUR);
  expect(waits).toEqual([5 * SECOND, 5 * MINUTE, 30 * MINUTE, ...hours, "dead"]);
});

test.each([
  [0, 5_000],
  [0.5, 5_500],
  [0.999_999, 6_000],
])("standard adds up to 20 %% of jitter: random %p waits %p ms", (random, expected) => {
  expect(waitOf({ random })).toBe(expected);
});

test("jitter only ever adds, and never more than its share", () => {
  const attempts = fc.integer({ min: 1, max: 9 });
  const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  fc.assert(
    fc.property(attempts, random, (attempt, value) => {
      const least = nextDelayMs(STANDARD_RETRY, attempt) ?? Number.NaN;
      const waited = waitOf({ attempt, random: value });
      expect(waited).toBeGreaterThanOrEqual(least);
      expect(waited).toBeLessThanOrEqual(Math.ceil(least * 1.2));
    }),
  );
});

test("an exponential rule grows by its factor up to its cap and stops at its number of attempts", () => {
  const waits = Array.from({ length: 6 }, (_, index) => nextDelayMs(EXPONENTIAL, index + 1));
  expect(waits).toEqual([10_000, 30_000, 90_000, 270_000, 300_000, null]);
});

test("a very long exponential series does not overflow", () => {
  expect(nextDelayMs({ ...EXPONENTIAL, attemptsMax: 1_000_000 }, 999_999)).toBe(5 * MINUTE);
});

test("no attempt starts later than the greatest age", () => {
  const rule: RetryRule = { ...EXPONENTIAL, ageMaxMs: 10 * SECOND };
  expect(waitOf({ rule })).toBe(10 * SECOND);
  expect(waitOf({ rule, createdAt: NOW - 1 })).toBe("dead");
});

test("a ladder without steps never retries", () => {
  expect(waitOf({ rule: { kind: "ladder", delaysMs: [], jitter: 0 } })).toBe("dead");
});

const RETRY_AFTER: readonly [number | null, number | null, number, string][] = [
  [503, 60 * SECOND, 60 * SECOND, "a minimum on 503"],
  [429, 60 * SECOND, 60 * SECOND, "a minimum on 429"],
  [500, 60 * SECOND, 5 * SECOND, "ignored on 500"],
  [null, 60 * SECOND, 5 * SECOND, "ignored without a status"],
  [503, 1 * SECOND, 5 * SECOND, "not a shortcut"],
  [503, 90 * DAY, 24 * HOUR, "capped at the longest step"],
  [503, null, 5 * SECOND, "not required"],
];

test.each(
  RETRY_AFTER,
)("status %p with Retry-After %p waits %p: it is %s", (status, retryAfterMs, expected) => {
  expect(waitOf({ failed: { ...FAILED, status, retryAfterMs } })).toBe(expected);
});

test("Retry-After does not buy attempts beyond the rule", () => {
  expect(waitOf({ attempt: 10, failed: { ...FAILED, status: 503, retryAfterMs: 1 } })).toBe("dead");
});

test.each([
  [null, null],
  ["120", 120_000],
  [" 0 ", 0],
  ["Thu, 01 Jan 2026 00:01:00 GMT", 60_000],
  ["Wed, 31 Dec 2025 23:59:00 GMT", 0],
  ["-5", null],
  ["1.5", null],
  ["9999999999", null],
  ["soon", null],
  ["2026-01-01", null],
  ["", null],
])("Retry-After %p reads as %p ms", (value, expected) => {
  expect(parseRetryAfter(value, NOW)).toBe(expected);
});
