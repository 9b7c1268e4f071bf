/**
 * A made-up dialect: what the four real ones ask of the engine, in one place. It shows the seam from the
 * outside, so it uses nothing but the strategy interfaces.
 *
 *   envelope     the body carries the attempt's number and its time, and is signed afresh
 *   interpreter  "status":"error" in a 200 is a failure, "chicks" become deliveries, 202 + Pigeon-Wait waits
 *   policy       two tiers: three quick tries, then slow ones; where it stands is kept in policyState
 *   pressure     a breaker per origin, for transport failures only, that spends attempts; nothing disables
 */
import { createHmac } from "node:crypto";
import type { Answer, Outcome } from "../../src/domain/attempt.ts";
import type { DeliveryState } from "../../src/domain/delivery.ts";
import { outcomeByStatus } from "../../src/domain/native-interpreter.ts";
import type { Policy } from "../../src/domain/policy.ts";
import type { DeliveryRow } from "../../src/domain/reads.ts";
import type { Envelope, FollowUp, Interpreter, Profile } from "../../src/domain/strategy.ts";

const KEY = "coo";
const CAPTURE_BYTES = 1_048_576;
const EXCERPT_BYTES = 32;

export function signPigeon(timestamp: string, body: string): string {
  return createHmac("sha256", KEY).update(`${timestamp}.${body}`).digest("hex");
}

const envelope: Envelope = ({ delivery, endpoint, payload, attempt, now, wallNow }) => {
  const data: unknown = JSON.parse(Buffer.from(payload.body).toString());
  const body = JSON.stringify({ id: delivery.id, attempt, sentAt: new Date(now).toISOString(), data });
  const timestamp = String(Math.floor(wallNow / 1_000));
  const headers = new Headers({
    "content-type": "application/json",
    "pigeon-timestamp": timestamp,
    "pigeon-signature": signPigeon(timestamp, body),
  });
  return { method: "POST", url: endpoint.url, headers, body: Buffer.from(body) };
};

interface PigeonAnswer {
  readonly status?: string;
  readonly error?: string;
  readonly log?: string;
  readonly chicks?: readonly { readonly to: string; readonly data: unknown; readonly delayMs?: number }[];
}

function readAnswer(answer: Answer): PigeonAnswer {
  if (answer.kind === "error" || answer.isBodyTruncated) return {};
  try {
    return JSON.parse(Buffer.from(answer.body).toString()) as PigeonAnswer;
  } catch {
    return {};
  }
}

function judge(answer: Answer, now: number): Outcome {
  const outcome = outcomeByStatus(answer, now);
  if (outcome.kind !== "succeeded" || answer.kind === "error") return outcome;
  const { status, error } = readAnswer(answer);
  if (status === "error") {
    const text = `HTTP ${answer.status}: ${error ?? "no reason given"}`;
    return { kind: "failed", failure: "answer", status: answer.status, text, retryAfterMs: null };
  }
  const waitSeconds = answer.headers.get("pigeon-wait");
  if (answer.status !== 202 || waitSeconds === null) return outcome;
  return { kind: "awaiting", status: 202, deadlineAt: now + Number(waitSeconds) * 1_000 };
}

const interpreter: Interpreter = {
  captureBytesMax: CAPTURE_BYTES,
  excerptBytesMax: EXCERPT_BYTES,
  interpret: (answer, { now }) => {
    const { chicks = [], log } = readAnswer(answer);
    const followUps = chicks.map(
      ({ to, data, delayMs = 0 }): FollowUp => ({
        endpointId: to,
        profile: PIGEON.name,
        payload: { headers: "{}", body: Buffer.from(JSON.stringify(data)) },
        spec: '{"hatched":true}',
        dueAt: now + delayMs,
      }),
    );
    return {
      outcome: judge(answer, now),
      followUps,
      detail: log === undefined ? null : JSON.stringify({ log }),
    };
  },
};

export const QUICK_MS = 1_000;
export const SLOW_MS = 60_000;
const QUICK_TRIES = 3;
const SLOW_TRIES = 2;

interface Tier {
  readonly tier: "quick" | "slow";
  readonly tries: number;
}

const policy: Policy = ({ policyState, now, failed }) => {
  if (failed.status === 404) return { kind: "dead" };
  const { tier, tries }: Tier =
    policyState === null ? { tier: "quick", tries: 0 } : (JSON.parse(policyState) as Tier);
  const next: Tier =
    tier === "quick" && tries + 1 >= QUICK_TRIES ? { tier: "slow", tries: 0 } : { tier, tries: tries + 1 };
  if (next.tier === "slow" && next.tries >= SLOW_TRIES) return { kind: "dead" };
  const waitMs = next.tier === "quick" ? QUICK_MS : SLOW_MS;
  return { kind: "retry", at: now + waitMs, policyState: JSON.stringify(next) };
};

export const PIGEON: Profile = {
  name: "pigeon",
  envelope,
  interpreter,
  policy,
  pressure: { scope: "origin", counts: "transport", onOpen: "spend", disableOn: [] },
};

const WORDS: Partial<Record<DeliveryState, string>> = {
  succeeded: "home",
  dead: "lost",
  awaiting: "resting",
};

/** The fifth strategy: the domain's values in this dialect's words. */
export function pigeonWords({ id, state, attemptCount }: DeliveryRow): object {
  return { pigeon: id, mood: WORDS[state] ?? "flying", flights: attemptCount };
}
