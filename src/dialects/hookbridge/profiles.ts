/**
 * How messages travel: signed with HookBridge's three headers, retried along two ladders, judged by the
 * status alone. Three profiles share the strategies: what was sent, what was taken in and forwarded, and what
 * waits to be pulled (which is never sent).
 */
import { type Answer, type Failed, parseRetryAfter } from "../../domain/attempt.ts";
import { DAY } from "../../domain/duration.ts";
import type { Endpoint } from "../../domain/endpoint.ts";
import { isReservedHeader } from "../../domain/header-rules.ts";
import { isForwarded } from "../../domain/native-envelope.ts";
import { outcomeByStatus } from "../../domain/native-interpreter.ts";
import type { Policy } from "../../domain/policy.ts";
import type { Pressure } from "../../domain/pressure.ts";
import { signAll } from "../../domain/signature/index.ts";
import type { DeliveryFacts, Envelope, EnvelopeInput, Interpreter, Profile } from "../../domain/strategy.ts";
import { readExtra, readSpec } from "./objects.ts";
import { showUuid } from "./wire.ts";

export const OUTBOUND = "hookbridge";
export const INBOUND = "hookbridge-inbound";
export const PULL = "hookbridge-pull";

/** The receiver's own wish is a minimum, but never beyond a day (protocol section 11.3). */
const RETRY_AFTER_MAX_MS = DAY;
const EXCERPT_BYTES = 1_024;
/** Response headers kept with an attempt. */
const HEADERS_CHARS_MAX = 4_096;

/** Names that the envelope itself sets, or that frame the request. Lower-case. */
const OWN: ReadonlySet<string> = new Set([
  "x-webhook-id",
  "x-webhook-timestamp",
  "x-webhook-signature",
  "content-length",
]);

/** Whether headers of a message or an endpoint leave this one alone. */
export function isOwnHeader(name: string): boolean {
  return OWN.has(name) || isReservedHeader(name);
}

const outboundEnvelope: Envelope = (input) => {
  const { endpoint, payload } = input;
  const headers = new Headers();
  for (const name in endpoint.headers) {
    if (!isOwnHeader(name.toLowerCase())) headers.set(name, endpoint.headers[name] ?? "");
  }
  // Those of the message win over those of its endpoint (protocol section 9, check 33).
  for (const name in payload.headers) {
    if (!isOwnHeader(name)) headers.set(name, payload.headers[name] ?? "");
  }
  return finish(input, headers);
};

const inboundEnvelope: Envelope = (input) => {
  const headers = new Headers();
  for (const name in input.payload.headers) {
    if (isForwarded(name) && !isOwnHeader(name)) headers.set(name, input.payload.headers[name] ?? "");
  }
  return finish(input, headers);
};

function finish(input: EnvelopeInput, headers: Headers) {
  const { delivery, endpoint, payload, wallNow } = input;
  const { isSigned, signingTime } = readExtra(endpoint);
  const id = messageId(delivery);
  const at = signingTime === "accepted" ? acceptedAt(delivery) : wallNow;
  const timestamp = Math.floor(at / 1_000);
  headers.set("X-Webhook-Id", id);
  headers.set("X-Webhook-Timestamp", String(timestamp));
  const specs = isSigned ? endpoint.sign : [];
  for (const [name, value] of signAll(specs, { id, timestamp, body: payload.body, now: wallNow })) {
    headers.set(name, value);
  }
  return { method: "POST", url: endpoint.url, headers, body: payload.body };
}

/** Equal on all attempts and replays. */
function messageId({ id, eventId }: DeliveryFacts): string {
  return showUuid(eventId ?? id);
}

/** The machine's time of the request that made it, which a virtual clock does not move. */
function acceptedAt({ spec, createdAt }: DeliveryFacts): number {
  return spec === null ? createdAt : (readSpec(spec).acceptedAt ?? createdAt);
}

const interpreter: Interpreter = {
  captureBytesMax: EXCERPT_BYTES,
  excerptBytesMax: EXCERPT_BYTES,
  interpret: (answer, { now }) => ({
    outcome: outcomeByStatus(answer, now),
    followUps: [],
    detail: detailOf(answer, now),
  }),
};

/** What the list of attempts shows beyond the status. */
export interface AttemptDetail {
  /** These three only of what was answered. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly isBodyTruncated?: boolean;
  readonly retryAfterMs?: number | null;
  readonly address?: string;
}

function detailOf(answer: Answer, now: number): string | null {
  const reached: AttemptDetail = answer.address ? { address: answer.address } : {};
  if (answer.kind === "error") return answer.address ? JSON.stringify(reached) : null;
  const headers: Record<string, string> = {};
  let chars = 0;
  for (const [name, value] of answer.headers) {
    chars += name.length + value.length;
    if (chars > HEADERS_CHARS_MAX) break;
    headers[name] = value;
  }
  const retryAfterMs = parseRetryAfter(answer.headers.get("retry-after"), now);
  const { isBodyTruncated } = answer;
  const detail: AttemptDetail = { headers, isBodyTruncated, retryAfterMs, ...reached };
  return JSON.stringify(detail);
}

/** `fast` after 429, `slow` after what may work later, null after what never will. */
export function retryTypeOf(status: number | null): "fast" | "slow" | null {
  if (status === 429) return "fast";
  return status !== null && status >= 400 && status < 500 && status !== 408 ? null : "slow";
}

/** Policy state: how many failures of either kind the present budget has seen, as "fast,slow". */
const policy: Policy = ({ rule, failed, attempt, policyState, now }) => {
  const type = retryTypeOf(failed.status);
  if (type === null || rule.kind !== "tiers" || attempt >= rule.attemptsMax) return { kind: "dead" };
  const [fast = 0, slow = 0] = (policyState ?? "0,0").split(",").map(Number);
  const [ladder, step] = type === "fast" ? [rule.fastMs, fast] : [rule.slowMs, slow];
  const delayMs = ladder[Math.min(step, ladder.length - 1)] ?? 0;
  const askedMs = Math.min(askedOf(failed), RETRY_AFTER_MAX_MS);
  const next = type === "fast" ? `${fast + 1},${slow}` : `${fast},${slow + 1}`;
  return { kind: "retry", at: now + Math.max(delayMs, askedMs), policyState: next };
};

function askedOf({ retryAfterMs }: Failed): number {
  return retryAfterMs ?? 0;
}

/** HookBridge knows no breaker and never disables an endpoint. */
const pressure: Pressure = { scope: "endpoint", counts: "transport", onOpen: "spend", disableOn: [] };
export const NO_BREAKER: Endpoint["breaker"] = { failures: 0, recoveryMs: 30_000 };

export const PROFILES: readonly Profile[] = [
  { name: OUTBOUND, envelope: outboundEnvelope, interpreter, policy, pressure },
  { name: INBOUND, envelope: inboundEnvelope, interpreter, policy, pressure },
  { name: PULL, envelope: inboundEnvelope, interpreter, policy, pressure },
];
