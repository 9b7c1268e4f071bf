/** Stripe: https://docs.stripe.com/webhooks/signature */

import { hmacSigner, type SignOptions, timedBody } from "./hmac-signer.ts";
import { hmacVerifier } from "./hmac-verifier.ts";
import { timedPairsReader } from "./timed-pairs.ts";
import type { PresetOptions, Signer, Verifier } from "./types.ts";

const HEADER = "Stripe-Signature";

/**
 * Several v1 appear while a secret is rolled; other schemes (v0) are ignored. The key is the whole endpoint
 * secret as text, its "whsec_" included.
 */
export function prepareStripe({ secrets, toleranceMs }: PresetOptions): Verifier {
  return hmacVerifier({
    header: HEADER,
    algorithm: "sha256",
    encoding: "hex",
    secrets,
    toleranceMs,
    read: timedPairsReader({
      header: HEADER,
      separator: ",",
      timeKey: "t",
      signatureKey: "v1",
      joint: ".",
    }),
  });
}

export function prepareStripeSigner({ secrets }: SignOptions): Signer {
  return hmacSigner({
    secrets,
    signed: timedBody,
    headers: (digests, { timestamp }) => [
      [HEADER, [`t=${timestamp}`, ...digests.map((digest) => `v1=${digest}`)].join(",")],
    ],
  });
}
