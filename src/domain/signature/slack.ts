/** Slack: https://docs.slack.dev/authentication/verifying-requests-from-slack */

import { prepareHmac } from "./hmac.ts";
import type { PresetOptions, Verifier } from "./types.ts";

export function prepareSlack(options: PresetOptions): Verifier {
  return prepareHmac({
    ...options,
    header: "X-Slack-Signature",
    algorithm: "sha256",
    encoding: "hex",
    prefix: "v0=",
    template: "v0:{timestamp}:{body}",
    timestampHeader: "X-Slack-Request-Timestamp",
  });
}
