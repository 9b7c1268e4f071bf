/** What Posthook sends: the time, a point and the body; two signatures while a key retires. */

import { prepareHmac } from "./hmac.ts";
import { hmacSigner, type SignOptions, timedBody } from "./hmac-signer.ts";
import type { PresetOptions, Signer, Verifier } from "./types.ts";

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

/** Two values are joined by one space; the legacy header follows the active key (protocol section 12). */
export function preparePosthookSigner({ secrets }: SignOptions): Signer {
  const legacy = hmacSigner({
    secrets,
    isSingle: true,
    signed: ({ body }) => [body],
    headers: ([digest]) => [["X-Ph-Signature", digest]],
  });
  return hmacSigner({
    secrets,
    signed: timedBody,
    headers: (digests, input) => [
      ["Posthook-Id", input.id],
      ["Posthook-Timestamp", String(input.timestamp)],
      ["Posthook-Signature", digests.map((digest) => `v1,${digest}`).join(" ")],
      ...legacy(input),
    ],
  });
}
