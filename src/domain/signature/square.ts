/** Square: https://developer.squareup.com/docs/webhooks/step3validate */

import { prepareHmac } from "./hmac.ts";
import type { PresetOptions, Verifier } from "./types.ts";

/** Signs the notification URL exactly as it stands in the subscription, so that publicUrl is required. */
export function prepareSquare(options: PresetOptions): Verifier {
  return prepareHmac({
    ...options,
    header: "x-square-hmacsha256-signature",
    algorithm: "sha256",
    encoding: "base64",
    template: "{url}{body}",
  });
}
