/** GitHub: https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries */

import { prepareHmac } from "./hmac.ts";
import type { PresetOptions, Verifier } from "./types.ts";

/** The older X-Hub-Signature (SHA-1) is ignored: GitHub sends both whenever a secret is set. */
export function prepareGithub(options: PresetOptions): Verifier {
  return prepareHmac({
    ...options,
    header: "X-Hub-Signature-256",
    algorithm: "sha256",
    encoding: "hex",
    prefix: "sha256=",
  });
}
