import { describe, expect, test } from "bun:test";
import { FAILURE_KINDS, type Failed, type Outcome } from "../../src/domain/attempt.ts";
import { DAY, HOUR, MINUTE, SECOND } from "../../src/domain/duration.ts";
import {
  abandonProbe,
  type BreakerState,
  CLOSED,
  DEFAULT_BREAKER,
  NATIVE_PRESSURE,
  recordOutcome,
  tryProbe,
} from "../../src/domain/pressure.ts";
import { NOW } from "../support/factory.ts";

const FAILED: Failed = {
  kind: "failed",
  failure: "timeout",
  status: null,
  text: "timeout",
  retryAfterMs: null,
};
const SUCCEEDED: Outcome = { kind: "succeeded", status: 200 };
const RULE = { failures: 3, recoveryMs: 30 * SECOND };

function record(state: BreakerState, outcome: Outcome, now = NOW): BreakerState {
  return recordOutcome(state, outcome, { pressure: NATIVE_PRESSURE, rule: RULE, now });
}

function opened(): BreakerState {
  return record(record(record(CLOSED, FAILED), FAILED), FAILED);
}

test("it opens with the last of so many failures in a row", () => {
  const two = record(record(CLOSED, FAILED), FAILED);
  expect([two.kind, two.failures]).toEqual(["closed", 2]);
  expect(record(two, FAILED)).toEqual({ kind: "open", failures: 3, retryAt: NOW + 30 * SECOND, openings: 1 });
});

test.each<[string, Outcome]>([
  ["success", SUCCEEDED],
  ["acceptance", { kind: "awaiting", status: 202, deadlineAt: NOW }],
])("a %s between failures starts the row again", (_, outcome) => {
  expect(record(record(record(CLOSED, FAILED), FAILED), outcome)).toEqual(CLOSED);
});

test("no probe goes out before its time, then exactly one", () => {
  const open = opened();
  expect(tryProbe(open, open.retryAt - 1)).toBeNull();
  const probing = tryProbe(open, open.retryAt) as BreakerState;
  expect(probing.kind).toBe("half_open");
  expect(tryProbe(probing, open.retryAt + 1)).toBeNull();
  expect(tryProbe(CLOSED, NOW)).toBeNull();
});

test("a probe that succeeds closes it", () => {
  const open = opened();
  expect(record(tryProbe(open, open.retryAt) as BreakerState, SUCCEEDED)).toEqual(CLOSED);
});

test("each probe that fails doubles the wait, up to ten minutes", () => {
  let state = opened();
  const waits: number[] = [];
  for (let round = 0; round < 8; round += 1) {
    const now = state.retryAt;
    waits.push(state.retryAt - (waits.length === 0 ? NOW : 0));
    state = record(tryProbe(state, now) as BreakerState, FAILED, now);
    waits[waits.length - 1] = state.retryAt - now;
  }
  const seconds = [60, 120, 240, 480].map((count) => count * SECOND);
  expect(waits).toEqual([...seconds, ...Array(4).fill(10 * MINUTE)]);
});

test("attempts that were under way when it opened do not push the probe further out", () => {
  const open = opened();
  expect(record(open, FAILED, NOW + 5_000)).toEqual(open);
});

test("a late success closes an open one", () => {
  expect(record(opened(), SUCCEEDED)).toEqual(CLOSED);
});

test("a probe that was never sent is given back and may go out again at once", () => {
  const open = opened();
  const probing = tryProbe(open, open.retryAt) as BreakerState;
  const back = abandonProbe(probing, open.retryAt + 1);
  expect(back).toMatchObject({ kind: "open", retryAt: open.retryAt + 1, openings: 1 });
  expect(tryProbe(back, open.retryAt + 1)?.kind).toBe("half_open");
  expect(abandonProbe(CLOSED, NOW)).toEqual(CLOSED);
});

test("a rule of no failures never opens", () => {
  let state: BreakerState = CLOSED;
  const context = { pressure: NATIVE_PRESSURE, rule: { failures: 0, recoveryMs: 1 }, now: NOW };
  for (let count = 0; count < 100; count += 1) state = recordOutcome(state, FAILED, context);
  expect(state.kind).toBe("closed");
});

test.each([
  "open",
  "half_open",
] as const)("one that is %s closes when it was switched off meanwhile", (kind) => {
  const context = { pressure: NATIVE_PRESSURE, rule: { failures: 0, recoveryMs: 1 }, now: NOW };
  expect(recordOutcome({ ...opened(), kind }, FAILED, context)).toEqual(CLOSED);
});

const COUNTED = new Set(["transport", "timeout", "blocked"]);

test.each(FAILURE_KINDS)("%s counts as the strategy says", (failure) => {
  const rule = { failures: 1, recoveryMs: 1 };
  const kinds = (["failures", "transport"] as const).map((counts) => {
    const pressure = { ...NATIVE_PRESSURE, counts };
    return recordOutcome(CLOSED, { ...FAILED, failure }, { pressure, rule, now: NOW }).kind;
  });
  expect(kinds).toEqual(["open", COUNTED.has(failure) ? "open" : "closed"]);
});

test("the native defaults: ten failures of any kind at one endpoint, then 30 s, and 410 disables", () => {
  expect(DEFAULT_BREAKER).toEqual({ failures: 10, recoveryMs: 30 * SECOND });
  expect(NATIVE_PRESSURE).toEqual({
    scope: "endpoint",
    counts: "failures",
    onOpen: "park",
    disableOn: [410],
    disableAfterMs: 5 * DAY,
    slowDown: { statuses: [429, 503], restMaxMs: HOUR },
  });
});

describe("A failure rate", () => {
  const rule = {
    failures: 0,
    recoveryMs: 30 * SECOND,
    rate: { ratio: 0.5, windowMs: MINUTE, samplesMin: 4 },
  };

  /** F: failed, S: succeeded, one per `stepMs`. */
  function walk(outcomes: string, stepMs = SECOND, state: BreakerState = CLOSED): BreakerState {
    return [...outcomes].reduce((before, letter, index) => {
      const context = { pressure: NATIVE_PRESSURE, rule, now: NOW + index * stepMs };
      return recordOutcome(before, letter === "F" ? FAILED : SUCCEEDED, context);
    }, state);
  }

  test.each([
    ["SFSF", "open"],
    ["FFF", "closed"],
    ["FFFS", "closed"],
    ["SSSF", "closed"],
    ["SSSFFF", "open"],
  ])("opens once half of at least four failed: %s is %s", (outcomes, kind) => {
    expect(walk(outcomes).kind).toBe(kind as BreakerState["kind"]);
  });

  test("forgets what is older than its window", () => {
    expect(walk("FFSSSSSF", 29 * SECOND).kind).toBe("closed");
    expect(walk("FFF", MINUTE).window).toMatchObject({ total: 1, failed: 1, lastTotal: 0 });
  });

  test("stands beside the row of failures: either opens it", () => {
    const both = { ...rule, failures: 2 };
    const context = { pressure: NATIVE_PRESSURE, rule: both, now: NOW };
    expect(recordOutcome(recordOutcome(CLOSED, FAILED, context), FAILED, context).kind).toBe("open");
  });

  test("begins anew after a probe that succeeded", () => {
    const open = walk("FSFF");
    const probing = tryProbe(open, open.retryAt) as BreakerState;
    const context = { pressure: NATIVE_PRESSURE, rule, now: open.retryAt };
    expect(recordOutcome(probing, SUCCEEDED, context)).toEqual(CLOSED);
  });
});

test("a wait that may not grow stays the same after each failed probe", () => {
  const rule = { failures: 1, recoveryMs: 30 * SECOND, recoveryMaxMs: 30 * SECOND };
  let state = recordOutcome(CLOSED, FAILED, { pressure: NATIVE_PRESSURE, rule, now: NOW });
  for (let round = 1; round < 4; round += 1) {
    const now = state.retryAt;
    state = recordOutcome(tryProbe(state, now) as BreakerState, FAILED, {
      pressure: NATIVE_PRESSURE,
      rule,
      now,
    });
    expect(state.retryAt).toBe(now + 30 * SECOND);
  }
});
