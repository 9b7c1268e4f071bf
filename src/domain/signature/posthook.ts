/** What Posthook sends: the time, a point and the body; two signatures while a key retires. */

import { prepareHmac } from "./hmac.ts";
import type { PresetOptions, Verifier } from "./types.ts";

/** The key is the whole signing key as text, its prefix included. */
export function preparePosthook(options: PresetOptions): Verifier {
  return prepareHmac({
    ...options,
    header: "Posthook-Signature",
    algorithm: "sha256",
    encoding: "hex",
    prefix: "v1,",
    separator: " ",
    template: "{timestamp}.{body}",
    timestampHeader: "Posthook-Timestamp",
  });
}
