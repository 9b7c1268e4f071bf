/**
 * Why a request was refused, worked out once per refusal: the check is repeated with one thing changed at a
 * time until it passes, and what had to be changed is the finding. The table of suspicions says what is
 * tried.
 *
 * This is for explaining only. It is dear beside a verification, so that its caller bounds how often it runs,
 * and what it finds never lets anything in.
 */
import type { RejectionReason } from "../rejection.ts";
import { prepareVerify, type Refusal, type SignedRequest, type VerifySpec } from "../signature/index.ts";
import { explainTime } from "./clock.ts";
import { findForeignHeader, SUSPICIONS } from "./suspicions.ts";
import type { Finding, NumberedSecret, SecretSpec, Suspect, Trial } from "./types.ts";

export type { Finding, FindingCode } from "./types.ts";

export interface DiagnosisInput {
  readonly refusal: Pick<Refusal, "reason" | "diagnosis">;
  /** The rules of the source, all of which must pass. */
  readonly verify: readonly VerifySpec[];
  /** With its whole body. */
  readonly request: SignedRequest;
  /** The wall time at which it was refused, in epoch milliseconds. */
  readonly now: number;
}

/** At 0.7 ms per MiB hashed they keep one diagnosis below some 50 ms; for a body of 1 KiB it takes 2 ms. */
const TRIED_BYTES_MAX = 16_777_216;
const HASH_COUNT_MAX = 64;
const BODY_BYTES_MAX = 1_048_576;
const SECRETS_MAX = 4;

const EXPLAINED: ReadonlySet<RejectionReason> = new Set<RejectionReason>([
  "missing_signature",
  "malformed_signature",
  "signature_mismatch",
  "timestamp_out_of_tolerance",
  "missing_token",
  "token_mismatch",
]);

/**
 * Returns the probable cause of a refusal, or null when there is nothing to add to the refusal itself: it was
 * not about a credential, or the request would be accepted by now. Never throws.
 */
export function diagnose({ refusal, verify, request, now }: DiagnosisInput): Finding | null {
  if (!EXPLAINED.has(refusal.reason)) return null;
  const { skewSeconds, toleranceSeconds, oldSecretUntil } = refusal.diagnosis ?? {};
  if (skewSeconds !== undefined) return explainTime(skewSeconds, toleranceSeconds ?? 0);
  if (oldSecretUntil !== undefined) return explainOldSecret(oldSecretUntil);
  const suspect = findSuspect({ refusal, verify, request, now });
  if (suspect === null) return null;
  return runTrials(suspect, now) ?? explainRest(suspect);
}

function explainOldSecret(oldSecretUntil: number): Finding {
  const sentence =
    "The credential belongs to an old secret that is no longer accepted: the sender has to change over, " +
    "or the old secret needs a later `until`.";
  return { code: "old_secret", sentence, oldSecretUntil };
}

/** Returns the first rule that refuses; null when all pass. */
function findSuspect({ refusal, verify, request, now }: DiagnosisInput): Suspect | null {
  for (const spec of verify) {
    if (spec.scheme === "none") continue;
    const result = judge(spec, request, now);
    if (result === null || result.ok || result.reason !== refusal.reason) continue;
    return { spec, secrets: secretsToTry(spec, now), request, refusal: result };
  }
  return null;
}

/** The valid ones: an old secret that matches was found by the verification itself. */
function secretsToTry(spec: SecretSpec, now: number): readonly NumberedSecret[] {
  const numbered = spec.secrets.map((secret, index) => ({ ...secret, number: index + 1 }));
  const valid = numbered.filter(({ until }) => until === undefined || until >= now);
  return (valid.length > 0 ? valid : numbered).slice(0, SECRETS_MAX);
}

function runTrials(suspect: Suspect, now: number): Finding | null {
  if (suspect.request.body.length > BODY_BYTES_MAX) return null;
  let hashCount = 0;
  let triedBytes = 0;
  for (const { reasons, trials } of SUSPICIONS) {
    if (!reasons.includes(suspect.refusal.reason)) continue;
    for (const trial of trials(suspect)) {
      const count = trial.spec.scheme === "none" ? 0 : trial.spec.secrets.length;
      hashCount += count;
      triedBytes += count * trial.request.body.length;
      if (hashCount > HASH_COUNT_MAX || triedBytes > TRIED_BYTES_MAX) return null;
      if (isSigned(trial, now)) return trial.finding;
    }
  }
  return null;
}

/** Whether the signature is right, fresh or not: a time that is off as well is found once this is mended. */
function isSigned({ spec, request }: Trial, now: number): boolean {
  const result = judge(spec, request, now);
  return result !== null && (result.ok || result.reason === "timestamp_out_of_tolerance");
}

/** Null when the rule cannot work: some trials bend a secret into what its scheme does not take. */
function judge(spec: VerifySpec, request: SignedRequest, now: number) {
  try {
    return prepareVerify(spec)(request, now);
  } catch {
    return null;
  }
}

function explainRest(suspect: Suspect): Finding | null {
  const { reason } = suspect.refusal;
  if (reason === "missing_signature" || reason === "missing_token") {
    const foreign = findForeignHeader(suspect);
    if (foreign !== null) return foreign;
    const sentence =
      "The request carries no credential of any kind that is known here: check that a secret is set at the " +
      "sender, and that no proxy drops the header.";
    return { code: "not_signed", sentence };
  }
  if (reason === "malformed_signature") return null;
  const sentence =
    "The request was signed with a secret that this source does not have, or was changed on its way: " +
    "compare the secret with the sender's; test mode, live mode and every endpoint have their own.";
  return { code: "unknown_secret", sentence };
}
