/** What HookBridge sends: the time, a point and the body; two signatures while two keys are active. */

import { prepareHmac } from "./hmac.ts";
import { hmacSigner, type SignOptions, timedBody } from "./hmac-signer.ts";
import type { PresetOptions, Signer, Verifier } from "./types.ts";

/** The key is the whole signing secret as text, its "whsec_" included. */
export function prepareHookbridge(options: PresetOptions): Verifier {
  return prepareHmac({
    ...options,
    header: "X-Webhook-Signature",
    algorithm: "sha256",
    encoding: "hex",
    prefix: "sha256=",
    separator: ",",
    template: "{timestamp}.{body}",
    timestampHeader: "X-Webhook-Timestamp",
  });
}

/**
 * The oldest key's signature stands first, so that a receiver that reads only one still knows it during a
 * rotation (protocol section 11.2).
 */
export function prepareHookbridgeSigner({ secrets }: SignOptions): Signer {
  return hmacSigner({
    secrets,
    signed: timedBody,
    headers: (digests, { id, timestamp }) => [
      ["X-Webhook-Id", id],
      ["X-Webhook-Timestamp", String(timestamp)],
      [
        "X-Webhook-Signature",
        digests
          .map((digest) => `sha256=${digest}`)
          .reverse()
          .join(","),
      ],
    ],
  });
}
