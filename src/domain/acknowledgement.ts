/**
 * Acknowledgement after the answer: a receiver that needs longer answers 202 with a deadline and reports to
 * one of two URLs that came with the request. What stands in those URLs, what a report may say, and how long
 * an endpoint lets its receiver take.
 */
import type { Id } from "./id.ts";
import type { Tokens } from "./token.ts";

/** An endpoint with one offers the two URLs on every attempt. */
export interface AckRule {
  /** For a receiver that asks for a deadline without saying which. */
  readonly deadlineMs: number;
  /** No receiver gets longer. */
  readonly deadlineMaxMs: number;
}

export interface AckUrls {
  readonly ack: string;
  readonly nack: string;
}

export interface AckClaim {
  readonly deliveryId: Id;
  readonly attempt: number;
  readonly isAck: boolean;
  /** Epoch milliseconds of the engine's clock. */
  readonly expiresAt: number;
}

const PURPOSE = "acknowledgement";
/** Verb 1, id 16, attempt 4, expiry 8 (a double holds every instant exactly). */
const CLAIM_BYTES = 29;

export function issueAck(tokens: Tokens, { deliveryId, attempt, isAck, expiresAt }: AckClaim): string {
  const claim = Buffer.alloc(CLAIM_BYTES);
  claim.writeUInt8(isAck ? 1 : 0, 0);
  claim.write(deliveryId, 1, "hex");
  claim.writeUInt32BE(attempt, 17);
  claim.writeDoubleBE(expiresAt, 21);
  return tokens.issue(PURPOSE, claim);
}

/** Null for what we did not issue. An expired claim is returned like any other. */
export function readAck(tokens: Tokens, token: string): AckClaim | null {
  const bytes = tokens.read(PURPOSE, token);
  if (bytes?.length !== CLAIM_BYTES) return null;
  const claim = Buffer.from(bytes);
  return {
    deliveryId: claim.toString("hex", 1, 17),
    attempt: claim.readUInt32BE(17),
    isAck: claim.readUInt8(0) === 1,
    expiresAt: claim.readDoubleBE(21),
  };
}

/** What of a 202 may ask for time. */
interface Promising {
  readonly headers: Headers;
  /** As far as it was captured. */
  readonly body: Uint8Array;
}

const DEADLINE_HEADER = "postern-ack-deadline";
const DEADLINE_MEMBER = "ackDeadline";

/**
 * Returns when the report is due that a 202 promises with `Postern-Ack-Deadline: <seconds>`, or without that
 * header with `{"ackDeadline": <seconds>}` in its body; null without either: then the 202 is a plain success.
 * A value that is no number of seconds asks for the usual one, `null` and `false` for none.
 */
export function ackDeadline(rule: AckRule, { headers, body }: Promising, now: number): number | null {
  const asked = headers.get(DEADLINE_HEADER) ?? memberOf(body);
  if (asked === null) return null;
  const text = asked.trim();
  const ms = /^\d{1,9}$/.test(text) ? Number(text) * 1_000 : rule.deadlineMs;
  return now + Math.min(ms === 0 ? rule.deadlineMs : ms, rule.deadlineMaxMs);
}

/** The member of a JSON object as text; null when there is none, or no such object. */
function memberOf(body: Uint8Array): string | null {
  const text = new TextDecoder().decode(body);
  if (!text.includes(DEADLINE_MEMBER)) return null;
  try {
    const value = (JSON.parse(text) as Readonly<Record<string, unknown>> | null)?.[DEADLINE_MEMBER];
    const isAsking = value !== undefined && value !== null && value !== false;
    return isAsking ? String(typeof value === "number" ? Math.ceil(value) : value) : null;
  } catch {
    return null;
  }
}

/** What is kept of a receiver's reason. */
const TEXT_BYTES_MAX = 8_192;

/**
 * Returns why a receiver could not do it, from the body of its report: the text itself, or `error` or
 * `message` of a JSON object. Null when it gave no reason. Longer ones are cut.
 */
export function reportText(body: Uint8Array): string | null {
  const text = new TextDecoder().decode(body.subarray(0, TEXT_BYTES_MAX)).trim();
  return text === "" ? null : (reasonIn(text) ?? text);
}

function reasonIn(text: string): string | null {
  if (!text.startsWith("{")) return null;
  try {
    const { error, message } = JSON.parse(text) as { error?: unknown; message?: unknown };
    const reason = error ?? message;
    if (typeof reason === "string") return reason;
    const inner = (reason as { message?: unknown } | null | undefined)?.message;
    return typeof inner === "string" ? inner : null;
  } catch {
    return null;
  }
}
