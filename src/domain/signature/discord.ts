/** Discord: https://discord.com/developers/docs/events/webhook-events#setting-up-an-endpoint */

import type { Claim } from "./claim-verifier.ts";
import { ed25519Verifier } from "./ed25519-verifier.ts";
import { readHeader } from "./header.ts";
import { malformedSignature, missingSignature } from "./refusal.ts";
import { parseUnixSeconds } from "./timestamp.ts";
import type { PresetOptions, Refusal, SignedRequest, Verifier } from "./types.ts";

const SIGNATURE = "X-Signature-Ed25519";
const TIMESTAMP = "X-Signature-Timestamp";

/** The secrets are the application's public keys in hex. */
export function prepareDiscord({ secrets, toleranceMs }: PresetOptions): Verifier {
  const deriveKey = (key: string) => Buffer.from(key, "hex");
  return ed25519Verifier({ header: SIGNATURE, encoding: "hex", secrets, deriveKey, toleranceMs, read });
}

function read(request: SignedRequest): Claim | Refusal {
  const signature = readHeader(request, SIGNATURE);
  if (signature === null) return missingSignature(SIGNATURE);
  const timestamp = readHeader(request, TIMESTAMP);
  if (timestamp === null) return missingSignature(TIMESTAMP);
  const time = parseUnixSeconds(timestamp);
  if (time === null) return malformedSignature(TIMESTAMP, "is no Unix timestamp");
  return { ok: true, signatures: [signature], signed: [timestamp, request.body], time };
}
