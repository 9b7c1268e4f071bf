/**
 * PyFly's way to send (its reference, sections 3 to 7) as strategies. The body is the canonical text that was
 * stored; the signature was made with it and stays the same, whatever becomes of the secret meanwhile.
 */
import type { Answer, Outcome } from "../../domain/attempt.ts";
import { outcomeByStatus } from "../../domain/native-interpreter.ts";
import { nextDelayMs, type Policy } from "../../domain/policy.ts";
import type { Pressure } from "../../domain/pressure.ts";
import { DeliveryRefusedError, type Envelope, type Profile } from "../../domain/strategy.ts";

/** What a delivery of this profile carries in its spec. */
export interface CallbackSpec {
  readonly eventType: string;
  /** The value of X-Pyfly-Signature; null when the config had no secret. */
  readonly signature: string | null;
}

/** What an endpoint of this door carries in `extra`. */
export interface CallbackTarget {
  /** Why nothing is sent to it any more. */
  readonly refusal: string | null;
}

export const CONFIG_DISABLED = "Config disabled";
const SIGNATURE_HEADER = "X-Pyfly-Signature";
const EXCERPT_BYTES = 1_024;

const envelope: Envelope = ({ delivery, endpoint, payload, attempt }) => {
  const target = JSON.parse(endpoint.extra ?? "{}") as Partial<CallbackTarget>;
  if (endpoint.deletedAt !== null || target.refusal) {
    throw new DeliveryRefusedError(target.refusal ?? CONFIG_DISABLED);
  }
  const { eventType, signature } = JSON.parse(delivery.spec ?? "{}") as CallbackSpec;
  const headers = new Headers({
    "Content-Type": "application/json",
    "X-Pyfly-Event": headerText(eventType),
    "X-Pyfly-Delivery": callbackId(delivery.id),
    "X-Pyfly-Attempt": String(attempt),
  });
  for (const name in endpoint.headers) headers.set(name, endpoint.headers[name] ?? "");
  // Last, so that no header of a subscription can stand in for it.
  if (signature !== null) headers.set(SIGNATURE_HEADER, signature);
  return { method: "POST", url: endpoint.url, headers, body: payload.body };
};

/** Event types are any text; a header carries visible ASCII only. */
function headerText(text: string): string {
  return text.replace(/[^\x21-\x7e]/gu, (unit) => encodeURIComponent(unit.isWellFormed() ? unit : "\ufffd"));
}

/** Ids are UUIDs to PyFly. */
export function callbackId(id: string): string {
  return id.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

function judge(answer: Answer, now: number): Outcome {
  const outcome = outcomeByStatus(answer, now);
  if (outcome.kind !== "failed" || outcome.status === null) return outcome;
  return { ...outcome, text: `http ${outcome.status}`, retryAfterMs: null };
}

/** Section 3: these statuses and everything without an answer are tried again; Retry-After is ignored. */
function isRetryable(status: number | null): boolean {
  return status === null || status === 408 || status === 429 || status >= 500;
}

const policy: Policy = ({ rule, failed, attempt, now }) => {
  const delayMs = isRetryable(failed.status) ? nextDelayMs(rule, attempt) : null;
  return delayMs === null ? { kind: "dead" } : { kind: "retry", at: now + delayMs, policyState: null };
};

/** Section 7: any answer is a success, and a refused attempt is an attempt. */
const PRESSURE: Pressure = { scope: "origin", counts: "transport", onOpen: "spend", disableOn: [] };

export const PYFLY_PROFILE: Profile = {
  name: "pyfly",
  envelope,
  interpreter: {
    captureBytesMax: EXCERPT_BYTES,
    excerptBytesMax: EXCERPT_BYTES,
    interpret: (answer, { now }) => ({ outcome: judge(answer, now), followUps: [], detail: null }),
  },
  policy,
  pressure: PRESSURE,
};
