/** The verdicts, in one place, so that the same fault has the same reason and wording in every scheme. */

import type { Diagnosis, Refusal, VerifyResult } from "./types.ts";

export const ACCEPTED: VerifyResult = Object.freeze({ ok: true });

export function missingSignature(field: string): Refusal {
  return {
    ok: false,
    reason: "missing_signature",
    detail: `Header ${field} is missing or empty.`,
    diagnosis: { field },
  };
}

/** `fault` completes the sentence "Header X ...". */
export function malformedSignature(field: string, fault: string): Refusal {
  return {
    ok: false,
    reason: "malformed_signature",
    detail: `Header ${field} ${fault}.`,
    diagnosis: { field },
  };
}

export function signatureMismatch(field: string, oldSecretUntil: number | undefined): Refusal {
  const detail = "The signature does not match the body under any valid secret";
  return { ok: false, reason: "signature_mismatch", ...mismatch(detail, field, oldSecretUntil) };
}

export function missingToken(field: string): Refusal {
  const detail = `No credential was sent: ${field} is missing or empty.`;
  return { ok: false, reason: "missing_token", detail, diagnosis: { field } };
}

export function tokenMismatch(field: string, oldSecretUntil: number | undefined): Refusal {
  const detail = "The credential matches no valid secret";
  return { ok: false, reason: "token_mismatch", ...mismatch(detail, field, oldSecretUntil) };
}

function mismatch(detail: string, field: string, oldSecretUntil: number | undefined) {
  const diagnosis: Diagnosis = oldSecretUntil === undefined ? { field } : { field, oldSecretUntil };
  return oldSecretUntil === undefined
    ? { detail: `${detail}.`, diagnosis }
    : { detail: `${detail}; it matches an old one that is no longer accepted.`, diagnosis };
}
