/** What one attempt brought back, how it is judged, and what is kept of it. */

export const FAILURE_KINDS = [
  "status", // an answer whose status is no success
  "answer", // a 2xx whose body says that it failed
  "transport", // no answer: DNS, connect, TLS, reset, garbage
  "timeout",
  "refused", // its envelope says that it must not be sent any more; final whatever the policy
  "blocked", // the target's address is not allowed; nothing was sent
  "deadline", // an awaited acknowledgement did not come in time
  "nack", // the receiver reported failure after it had accepted
] as const;

export type FailureKind = (typeof FAILURE_KINDS)[number];

/**
 * What came back from the receiver, before anybody judged it. `body` is cut at the interpreter's capture
 * limit.
 */
export type Answer =
  | {
      readonly kind: "response";
      readonly status: number;
      readonly headers: Headers;
      readonly body: Uint8Array;
      readonly isBodyTruncated: boolean;
      readonly address?: string | null;
    }
  | {
      readonly kind: "error";
      readonly failure: FailureKind;
      readonly text: string;
      /** What was, or was to be, connected to; null or absent when nobody can tell. */
      readonly address?: string | null;
    };

export interface Failed {
  readonly kind: "failed";
  readonly failure: FailureKind;
  readonly status: number | null;
  /** Short and stable: "HTTP 503", "connection refused". */
  readonly text: string;
  /** The receiver's own wish, from Retry-After. */
  readonly retryAfterMs: number | null;
}

export type Outcome =
  | { readonly kind: "succeeded"; readonly status: number | null }
  | Failed
  | { readonly kind: "awaiting"; readonly status: number | null; readonly deadlineAt: number };

/** What a receiver reports later about a delivery that it took. */
export interface AckReport {
  /** Which attempt it is about; null when the receiver cannot tell. */
  readonly attempt: number | null;
  readonly isAck: boolean;
  /** Why it failed, in the receiver's words. */
  readonly text: string | null;
}

export function reportedOutcome(report: AckReport): Outcome {
  if (report.isAck) return { kind: "succeeded", status: null };
  const text = report.text ?? "the receiver reported failure";
  return { kind: "failed", failure: "nack", status: null, text, retryAfterMs: null };
}

/**
 * Returns the outcome of an attempt whose report was there before its answer. An acknowledgement counts even
 * if the answer was lost: the receiver has said that it is done. A refusal counts only where a report was
 * awaited.
 */
export function withReport(outcome: Outcome, report: AckReport | null): Outcome {
  if (report === null || outcome.kind === "succeeded") return outcome;
  return outcome.kind === "awaiting" || report.isAck ? reportedOutcome(report) : outcome;
}

/** One try, immutable once written. `number` counts over the whole life of the delivery, replays included. */
export interface AttemptRecord {
  readonly number: number;
  readonly startedAt: number;
  readonly durationMs: number;
  readonly outcome: Outcome["kind"];
  readonly status: number | null;
  readonly failure: FailureKind | null;
  readonly error: string | null;
  readonly excerpt: Uint8Array | null;
  /** JSON that the interpreter wants kept (log lines, timings, response headers). */
  readonly detail: string | null;
}

/**
 * Returns the wait that a Retry-After header asks for, in milliseconds; null when absent or unreadable.
 * Both forms of RFC 9110 section 10.2.3: delay in seconds, or an HTTP date.
 */
export function parseRetryAfter(value: string | null, now: number): number | null {
  if (value === null) return null;
  const text = value.trim();
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1_000;
  if (!/^[A-Za-z]{3}/.test(text)) return null;
  const at = Date.parse(text);
  return Number.isNaN(at) ? null : Math.max(0, at - now);
}
