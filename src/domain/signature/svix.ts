/**
 * Svix: Standard Webhooks under its own header names,
 * https://docs.svix.com/receiving/verifying-payloads/how-manual
 */

import { standardVerifier } from "./standard.ts";
import type { PresetOptions, Verifier } from "./types.ts";

export function prepareSvix(options: PresetOptions): Verifier {
  return standardVerifier(options, {
    id: "svix-id",
    timestamp: "svix-timestamp",
    signature: "svix-signature",
  });
}
