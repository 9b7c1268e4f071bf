/** What HookBridge sends: the time, a point and the body; two signatures while two keys are active. */

import { prepareHmac } from "./hmac.ts";
import type { PresetOptions, Verifier } from "./types.ts";

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
