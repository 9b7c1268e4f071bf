/** Linear: https://linear.app/developers/webhooks */

import { prepareHmac } from "./hmac.ts";
import { refuseStale, type SignedTime, TOLERANCE_DEFAULT_MS } from "./timestamp.ts";
import type { PresetOptions, Verifier } from "./types.ts";

/**
 * The time is a field of the body, which the signature covers; it is read only from a body that is signed.
 */
export function prepareLinear(options: PresetOptions): Verifier {
  const toleranceMs = options.toleranceMs ?? TOLERANCE_DEFAULT_MS;
  const verifyBody = prepareHmac({
    ...options,
    header: "Linear-Signature",
    algorithm: "sha256",
    encoding: "hex",
  });
  return (request, now) => {
    const result = verifyBody(request, now);
    if (!result.ok) return result;
    const time = readTime(request.body);
    return (time && refuseStale(time, now, toleranceMs)) ?? result;
  };
}

/** Null when the body has no such field, as in the events of older integrations. */
function readTime(body: Uint8Array): SignedTime | null {
  try {
    const at = (JSON.parse(new TextDecoder().decode(body)) as { webhookTimestamp?: unknown } | null)
      ?.webhookTimestamp;
    return typeof at === "number" ? { at, unitMs: 1 } : null;
  } catch {
    return null;
  }
}
