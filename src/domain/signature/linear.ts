/** Linear: https://linear.app/developers/webhooks */

import { prepareHmac } from "./hmac.ts";
import { malformedSignature } from "./refusal.ts";
import { refuseStale, type SignedTime, TOLERANCE_DEFAULT_MS } from "./timestamp.ts";
import type { PresetOptions, Verifier } from "./types.ts";

const HEADER = "Linear-Signature";

/**
 * The time is a field of the body, which the signature covers; it is read only from a body that is signed.
 * A body without it is refused, as Linear's own library does: nothing would tell when it was sent. The header
 * Linear-Timestamp is not signed and counts for nothing.
 */
export function prepareLinear(options: PresetOptions): Verifier {
  const toleranceMs = options.toleranceMs ?? TOLERANCE_DEFAULT_MS;
  const verifyBody = prepareHmac({
    ...options,
    header: HEADER,
    algorithm: "sha256",
    encoding: "hex",
  });
  return (request, now) => {
    const result = verifyBody(request, now);
    if (!result.ok) return result;
    const time = readTime(request.body);
    if (time === null) return malformedSignature(HEADER, "covers a body without webhookTimestamp");
    return refuseStale(time, now, toleranceMs) ?? result;
  };
}

/** Null when the body has no such field in milliseconds. */
function readTime(body: Uint8Array): SignedTime | null {
  try {
    const at = (JSON.parse(new TextDecoder().decode(body)) as { webhookTimestamp?: unknown } | null)
      ?.webhookTimestamp;
    return typeof at === "number" ? { at, unitMs: 1 } : null;
  } catch {
    return null;
  }
}
