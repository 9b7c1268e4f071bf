import { expect, test } from "bun:test";
import { type Answer, type Outcome, parseRetryAfter, withReport } from "../../src/domain/attempt.ts";
import { NATIVE_INTERPRETER, outcomeByStatus } from "../../src/domain/native-interpreter.ts";
import { NOW } from "../support/factory.ts";

test.each<[string | null, number | null]>([
  [null, null],
  ["120", 120_000],
  [" 0 ", 0],
  ["-5", null],
  ["1.5", null],
  ["9999999999", null],
  ["", null],
  ["soon", null],
  ["2026-01-01T00:01:00Z", null],
  ["Thu, 01 Jan 2026 00:01:00 GMT", 60_000],
  ["Wed, 31 Dec 2025 23:59:00 GMT", 0],
])("Retry-After %p asks for %p ms", (value, expected) => {
  expect(parseRetryAfter(value, NOW)).toBe(expected);
});

function answer(status: number, headers: Record<string, string> = {}): Answer {
  return {
    kind: "response",
    status,
    headers: new Headers(headers),
    body: new Uint8Array(0),
    isBodyTruncated: false,
  };
}

test.each([200, 201, 204, 299])("status %p is a success", (status) => {
  expect(outcomeByStatus(answer(status), NOW)).toEqual({ kind: "succeeded", status });
});

test.each([100, 199, 300, 302, 400, 404, 410, 429, 500, 599])("status %p is a failure", (status) => {
  expect(outcomeByStatus(answer(status), NOW)).toMatchObject({
    kind: "failed",
    status,
    text: `HTTP ${status}`,
  });
});

test("a failure carries the receiver's own wish", () => {
  expect(outcomeByStatus(answer(503, { "retry-after": "7" }), NOW)).toMatchObject({ retryAfterMs: 7_000 });
});

test("no answer is a failure of the kind that the sender found", () => {
  const lost: Answer = { kind: "error", failure: "timeout", text: "no answer within 30s" };
  expect(outcomeByStatus(lost, NOW)).toMatchObject({ failure: "timeout", status: null, text: lost.text });
});

test("the native interpreter follows up on nothing", () => {
  const context = { delivery: {}, endpoint: {}, attempt: 1, now: NOW } as never;
  expect(NATIVE_INTERPRETER.interpret(answer(200), context)).toEqual({
    outcome: { kind: "succeeded", status: 200 },
    followUps: [],
    detail: null,
  });
});

const SUCCEEDED: Outcome = { kind: "succeeded", status: 200 };
const AWAITING: Outcome = { kind: "awaiting", status: 202, deadlineAt: NOW };
const FAILED: Outcome = {
  kind: "failed",
  failure: "status",
  status: 500,
  text: "HTTP 500",
  retryAfterMs: null,
};

test.each([
  [SUCCEEDED, true, "succeeded"],
  [SUCCEEDED, false, "succeeded"],
  [AWAITING, true, "succeeded"],
  [AWAITING, false, "failed"],
  [FAILED, true, "succeeded"],
  [FAILED, false, "failed"],
] as const)("%j with an early report (acknowledged: %p) is %s", (outcome, isAck, expected) => {
  const report = { attempt: 1, isAck, text: "because" };
  expect(withReport(outcome, report).kind).toBe(expected);
  expect(withReport(outcome, null)).toBe(outcome);
});
