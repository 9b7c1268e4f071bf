/** Shopify: https://shopify.dev/docs/apps/build/webhooks/subscribe/https */

import { prepareHmac } from "./hmac.ts";
import type { PresetOptions, Verifier } from "./types.ts";

/** The secret is the client secret of the app. */
export function prepareShopify(options: PresetOptions): Verifier {
  return prepareHmac({
    ...options,
    header: "X-Shopify-Hmac-Sha256",
    algorithm: "sha256",
    encoding: "base64",
  });
}
