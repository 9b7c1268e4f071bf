/**
 * What PyFly sends: the bare body, without a time, so that a replay can only be told by its idempotency key.
 */

import { prepareHmac } from "./hmac.ts";
import type { PresetOptions, Verifier } from "./types.ts";

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
