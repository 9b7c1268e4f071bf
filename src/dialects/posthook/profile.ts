/**
 * How a hook goes out over HTTP (reference sections 11 to 13): an envelope of the product's own around the
 * caller's data, signed anew for every attempt; 2xx completes it, a 202 is a promise where the project offers
 * callbacks, everything else is a failed attempt.
 */
import type { Answer, Outcome } from "../../domain/attempt.ts";
import { DAY, SECOND } from "../../domain/duration.ts";
import { outcomeByStatus } from "../../domain/native-interpreter.ts";
import type { Pressure } from "../../domain/pressure.ts";
import { signAll } from "../../domain/signature/index.ts";
import type { Envelope, EnvelopeInput, Profile, Reported } from "../../domain/strategy.ts";
import { posthookPolicy } from "./retry.ts";
import { extraOf, PROFILE_NAME, specOf } from "./spec.ts";
import { showHookId, showTime, splice, statusOf } from "./wire.ts";

const EXCERPT_BYTES = 1_024;
/** Section 13. */
const ASYNC_DEFAULT_MS = 300 * SECOND;
const ASYNC_MIN_MS = 10 * SECOND;
const ASYNC_MAX_MS = 10_800 * SECOND;
/**
 * How long a callback URL is told from a forgery: longer than any deadline, so that a late report gets its
 * 410.
 */
export const CALLBACK_MS = DAY;

const utf8 = new TextDecoder();
const bytes = new TextEncoder();

const NO_DOMAIN = "no listener is connected and the project has no domain";

const envelope: Envelope = (input) => {
  const { endpoint, delivery } = input;
  const { domain, isAsync } = extraOf(endpoint);
  if (domain === null) throw new Error(NO_DOMAIN);
  const { headers, body } = deliveryOf(input);
  if (isAsync) {
    const { ack, nack } = input.ackUrls(CALLBACK_MS);
    headers.set("Posthook-Ack-URL", ack);
    headers.set("Posthook-Nack-URL", nack);
  }
  return { method: "POST", url: domain + specOf(delivery.spec).path, headers, body: bytes.encode(body) };
};

/** Returns what goes out, whether as a request or, forwarded, inside of a frame. */
export function deliveryOf({ delivery, endpoint, payload, attempt, now, wallNow }: EnvelopeInput): {
  readonly headers: Headers;
  readonly body: string;
} {
  const id = showHookId(delivery.id);
  const { createdAt } = delivery;
  const body = splice(
    {
      id,
      path: specOf(delivery.spec).path,
      postAt: showTime(delivery.scheduledAt),
      postedAt: showTime(now),
    },
    utf8.decode(payload.body),
    // A first attempt finds the hook as it was made; each later one has changed it.
    { createdAt: showTime(createdAt), updatedAt: showTime(attempt === 1 ? createdAt : now) },
  );
  const headers = new Headers({ "Content-Type": "application/json", "User-Agent": "Posthook/1.0" });
  for (const name in endpoint.headers) headers.set(name, endpoint.headers[name] ?? "");
  const timestamp = Math.floor(wallNow / 1_000);
  const signed = signAll(endpoint.sign, { id, timestamp, body: bytes.encode(body), now: wallNow });
  for (const [name, value] of signed) headers.set(name, value);
  return { headers, body };
}

function judge(answer: Answer, isAsync: boolean, now: number): Outcome {
  if (answer.kind === "response" && answer.status === 202 && isAsync) {
    const asked = answer.headers.get("posthook-async-timeout");
    return { kind: "awaiting", status: 202, deadlineAt: now + asyncTimeoutMs(asked) };
  }
  const outcome = outcomeByStatus(answer, now);
  return outcome.kind === "failed" ? { ...outcome, retryAfterMs: null } : outcome;
}

/**
 * Section 13: absent, unreadable and not positive mean the default; the rest is brought within the bounds.
 */
export function asyncTimeoutMs(asked: string | number | null): number {
  const seconds = asked === null || asked === "" ? Number.NaN : Number(asked);
  if (!Number.isInteger(seconds) || seconds <= 0) return ASYNC_DEFAULT_MS;
  return Math.min(Math.max(seconds * SECOND, ASYNC_MIN_MS), ASYNC_MAX_MS);
}

/** Section 13: 200 with a status where the report decided or found it decided, 409 and 410 otherwise. */
function reportAnswer({ kind, isAck, state }: Reported): { status: number; body: unknown } {
  if (kind === "superseded") return { status: 409, body: { error: "a newer attempt exists" } };
  if (kind === "applied" || kind === "repeated") {
    return { status: 200, body: { data: { status: isAck ? "completed" : "nacked" } } };
  }
  // Decided otherwise, and for good: the answer says how (open question 15).
  const status = statusOf(state);
  if (status === "completed" || status === "failed") return { status: 200, body: { data: { status } } };
  if (kind === "resolved") return { status: 200, body: { data: { status: "nacked" } } };
  return { status: 410, body: { error: "the deadline of this callback has passed" } };
}

/** Attempts are spent, never parked, and no answer disables a project's domain. */
const PRESSURE: Pressure = { scope: "endpoint", counts: "failures", onOpen: "spend", disableOn: [] };

export const POSTHOOK_PROFILE: Profile = {
  name: PROFILE_NAME,
  envelope,
  interpreter: {
    captureBytesMax: EXCERPT_BYTES,
    excerptBytesMax: EXCERPT_BYTES,
    interpret: (answer, { endpoint, now }) => ({
      outcome: judge(answer, extraOf(endpoint).isAsync, now),
      followUps: [],
      detail: null,
    }),
  },
  policy: posthookPolicy,
  pressure: PRESSURE,
  reportAnswer,
};
