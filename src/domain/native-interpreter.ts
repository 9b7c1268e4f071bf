/**
 * How native deliveries read an answer: 2xx succeeds, anything else failed, the body does not matter. A 202
 * that names a deadline, from an endpoint that takes reports, is a promise instead.
 */
import { type AckRule, ackDeadline } from "./acknowledgement.ts";
import { type Answer, type Outcome, parseRetryAfter } from "./attempt.ts";
import type { Interpreter } from "./strategy.ts";

/** Enough of an answer to recognise an error page by. */
const EXCERPT_BYTES = 1_024;

export const NATIVE_INTERPRETER: Interpreter = {
  captureBytesMax: EXCERPT_BYTES,
  excerptBytesMax: EXCERPT_BYTES,
  interpret: (answer, { endpoint, now }) => ({
    outcome: promised(answer, endpoint.ack ?? null, now) ?? outcomeByStatus(answer, now),
    followUps: [],
    detail: null,
  }),
};

function promised(answer: Answer, rule: AckRule | null, now: number): Outcome | null {
  if (rule === null || answer.kind === "error" || answer.status !== 202) return null;
  const deadlineAt = ackDeadline(rule, answer, now);
  return deadlineAt === null ? null : { kind: "awaiting", status: 202, deadlineAt };
}

/**
 * Returns the outcome that the status alone tells; dialects build on it. Redirects are failures (not
 * followed).
 */
export function outcomeByStatus(answer: Answer, now: number): Outcome {
  if (answer.kind === "error") {
    return { kind: "failed", failure: answer.failure, status: null, text: answer.text, retryAfterMs: null };
  }
  const { status } = answer;
  if (status >= 200 && status < 300) return { kind: "succeeded", status };
  return {
    kind: "failed",
    failure: "status",
    status,
    text: `HTTP ${status}`,
    retryAfterMs: parseRetryAfter(answer.headers.get("retry-after"), now),
  };
}
