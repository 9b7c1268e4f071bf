/** Paddle Billing: https://developer.paddle.com/webhooks/signature-verification */

import { hmacVerifier } from "./hmac-verifier.ts";
import { timedPairsReader } from "./timed-pairs.ts";
import type { PresetOptions, Verifier } from "./types.ts";

const HEADER = "Paddle-Signature";

/** Several h1 appear while a secret is rotated. */
export function preparePaddle({ secrets, toleranceMs }: PresetOptions): Verifier {
  return hmacVerifier({
    header: HEADER,
    algorithm: "sha256",
    encoding: "hex",
    secrets,
    toleranceMs,
    read: timedPairsReader({
      header: HEADER,
      separator: ";",
      timeKey: "ts",
      signatureKey: "h1",
      joint: ":",
    }),
  });
}
