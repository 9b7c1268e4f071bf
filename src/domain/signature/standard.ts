/** Standard Webhooks, symmetric (v1): https://github.com/standard-webhooks/standard-webhooks/blob/main/spec */

import { AppError } from "../errors.ts";
import { readHeader } from "./header.ts";
import { type HmacClaim, hmacVerifier } from "./hmac-verifier.ts";
import { keyedHash } from "./keyed-hash.ts";
import { prepareKeyring, validKeys } from "./keyring.ts";
import { malformedSignature, missingSignature } from "./refusal.ts";
import { parseUnixSeconds } from "./timestamp.ts";
import type { PresetOptions, Refusal, Secret, SignedRequest, Signer, Verifier } from "./types.ts";

const ID = "webhook-id";
const TIMESTAMP = "webhook-timestamp";
const SIGNATURE = "webhook-signature";
const VERSION = "v1,";

export function prepareStandard({ secrets, toleranceMs }: PresetOptions): Verifier {
  return hmacVerifier({
    header: SIGNATURE,
    algorithm: "sha256",
    encoding: "base64",
    secrets,
    deriveKey: standardKey,
    toleranceMs,
    read,
  });
}

export interface StandardSignOptions {
  readonly secrets: readonly Secret[];
}

/**
 * Signs with every valid secret, in their order, so that receivers may change over at any time of a rotation. When
 * all have expired the first one signs all the same: an unsigned delivery would help nobody.
 */
export function prepareStandardSigner({ secrets }: StandardSignOptions): Signer {
  const keyring = prepareKeyring(secrets, (value) => keyedHash("sha256", standardKey(value), "base64"));
  const first = keyring.slice(0, 1).map((entry) => entry.key);
  return ({ id, timestamp, body, now }) => {
    const valid = validKeys(keyring, now);
    const signed = [`${id}.${timestamp}.`, body];
    const signatures = (valid.length > 0 ? valid : first).map((hash) => VERSION + hash(signed));
    return [
      [ID, id],
      [TIMESTAMP, String(timestamp)],
      [SIGNATURE, signatures.join(" ")],
    ];
  };
}

/** Reads space-separated `v1,<base64>`; other versions are ignored, and so is the comma of two joined headers. */
function read(request: SignedRequest): HmacClaim | Refusal {
  const id = readHeader(request, ID);
  if (id === null) return missingSignature(ID);
  const timestamp = readHeader(request, TIMESTAMP);
  if (timestamp === null) return missingSignature(TIMESTAMP);
  const value = readHeader(request, SIGNATURE);
  if (value === null) return missingSignature(SIGNATURE);
  const time = parseUnixSeconds(timestamp);
  if (time === null) return malformedSignature(TIMESTAMP, "is no Unix timestamp");
  const signatures = value
    .split(" ")
    .filter((item) => item.startsWith(VERSION))
    .map((item) => item.slice(VERSION.length).replace(/,$/, ""));
  return { ok: true, signatures, signed: [id, ".", timestamp, ".", request.body], time };
}

const PREFIX = "whsec_";
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

/**
 * The key is what the base64 after "whsec_" decodes to. A secret without the prefix is read the same way when it is
 * padded base64, as the official libraries do, and else taken as UTF-8 text. Throws `invalid_request` for a
 * prefixed secret that is no base64, which would never match anything.
 */
function standardKey(secret: string): Uint8Array {
  const prefixed = secret.startsWith(PREFIX);
  const text = prefixed ? secret.slice(PREFIX.length) : secret;
  const base64 = BASE64.test(text) && (text.length % 4 === 0 || (prefixed && !text.includes("=")));
  if (base64) return Buffer.from(text, "base64");
  if (!prefixed) return Buffer.from(text, "utf8");
  throw new AppError("invalid_request", "A secret that starts with whsec_ must go on in base64.");
}
