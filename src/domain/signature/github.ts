/** GitHub: https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries */

import { prepareHmac } from "./hmac.ts";
import { hmacSigner, type SignOptions } from "./hmac-signer.ts";
import type { PresetOptions, Signer, Verifier } from "./types.ts";

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

export function prepareGithubSigner({ secrets }: SignOptions): Signer {
  return hmacSigner({
    secrets,
    isSingle: true,
    signed: ({ body }) => [body],
    headers: ([digest]) => [["X-Hub-Signature-256", `sha256=${digest}`]],
  });
}
