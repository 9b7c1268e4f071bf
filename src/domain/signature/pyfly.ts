/**
 * What PyFly sends: the bare body, without a time, so that a replay can only be told by its idempotency key.
 */

import { prepareHmac } from "./hmac.ts";
import { hmacSigner, type SignOptions } from "./hmac-signer.ts";
import type { PresetOptions, Signer, Verifier } from "./types.ts";

/** PyFly itself writes the prefix and accepts signatures without it. */
export function preparePyfly(options: PresetOptions): Verifier {
  return prepareHmac({
    ...options,
    header: "X-Signature",
    algorithm: "sha256",
    encoding: "hex",
    prefix: "sha256=",
    prefixOptional: true,
  });
}

/** Of callbacks: the same on every attempt, as nothing but the body is signed (protocol section 5). */
export function preparePyflySigner({ secrets }: SignOptions): Signer {
  return hmacSigner({
    secrets,
    isSingle: true,
    signed: ({ body }) => [body],
    headers: ([digest]) => [["X-Pyfly-Signature", `sha256=${digest}`]],
  });
}
