/** Stripe: https://docs.stripe.com/webhooks/signature */

import { readHeader } from "./header.ts";
import { type HmacClaim, hmacVerifier } from "./hmac-verifier.ts";
import { malformedSignature, missingSignature } from "./refusal.ts";
import { parseUnixSeconds } from "./timestamp.ts";
import type { PresetOptions, Refusal, SignedRequest, Verifier } from "./types.ts";

const HEADER = "Stripe-Signature";

/** The key is the whole endpoint secret as text, its "whsec_" included. */
export function prepareStripe({ secrets, toleranceMs }: PresetOptions): Verifier {
  return hmacVerifier({ header: HEADER, algorithm: "sha256", encoding: "hex", secrets, toleranceMs, read });
}

/**
 * Reads `t=<seconds>,v1=<hex>[,v1=<hex>]`. Several v1 appear while a secret is rolled; other schemes (v0) are
 * ignored, and so is an item behind a space, which Stripe does not send. Of repeated t the last counts.
 */
function read(request: SignedRequest): HmacClaim | Refusal {
  const value = readHeader(request, HEADER);
  if (value === null) return missingSignature(HEADER);
  let timestamp = "";
  const signatures: string[] = [];
  for (const item of value.split(",")) {
    if (item.startsWith("t=")) timestamp = item.slice(2);
    else if (item.startsWith("v1=")) signatures.push(item.slice(3));
  }
  const time = parseUnixSeconds(timestamp);
  if (time === null) return malformedSignature(HEADER, "holds no t=<Unix seconds>");
  if (signatures.length === 0) return malformedSignature(HEADER, "holds no v1= signature");
  return { ok: true, signatures, signed: [timestamp, ".", request.body], time };
}
