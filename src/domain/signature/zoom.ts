/** Zoom: https://developers.zoom.us/docs/api/webhooks/#verify-webhook-events */

import { prepareHmac } from "./hmac.ts";
import type { PresetOptions, Verifier } from "./types.ts";

export function prepareZoom(options: PresetOptions): Verifier {
  return prepareHmac({
    ...options,
    header: "x-zm-signature",
    algorithm: "sha256",
    encoding: "hex",
    prefix: "v0=",
    template: "v0:{timestamp}:{body}",
    timestampHeader: "x-zm-request-timestamp",
  });
}
