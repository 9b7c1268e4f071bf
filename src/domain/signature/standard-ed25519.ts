/** Standard Webhooks, asymmetric (v1a): https://github.com/standard-webhooks/standard-webhooks, spec. */

import { ed25519Verifier } from "./ed25519-verifier.ts";
import { standardReader, WEBHOOK_HEADERS } from "./standard-headers.ts";
import type { PresetOptions, Verifier } from "./types.ts";

const PREFIX = "whpk_";

/** The secrets are public keys: 32 bytes in base64, behind "whpk_" or bare. */
export function prepareStandardEd25519({ secrets, toleranceMs }: PresetOptions): Verifier {
  return ed25519Verifier({
    header: WEBHOOK_HEADERS.signature,
    encoding: "base64",
    secrets,
    deriveKey: (key) => Buffer.from(key.startsWith(PREFIX) ? key.slice(PREFIX.length) : key, "base64"),
    toleranceMs,
    read: standardReader(WEBHOOK_HEADERS, "v1a"),
  });
}
