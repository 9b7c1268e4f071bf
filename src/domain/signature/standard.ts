/** Standard Webhooks, symmetric (v1): https://github.com/standard-webhooks/standard-webhooks, spec. */

import { AppError } from "../errors.ts";
import { type SignOptions, signingKeys } from "./hmac-signer.ts";
import { hmacVerifier } from "./hmac-verifier.ts";
import { keyedHash } from "./keyed-hash.ts";
import { prepareKeyring } from "./keyring.ts";
import { type StandardHeaderNames, standardReader, WEBHOOK_HEADERS } from "./standard-headers.ts";
import type { PresetOptions, Signer, Verifier } from "./types.ts";

export function prepareStandard(options: PresetOptions): Verifier {
  return standardVerifier(options, WEBHOOK_HEADERS);
}

/** The same under other header names. */
export function standardVerifier(options: PresetOptions, names: StandardHeaderNames): Verifier {
  return hmacVerifier({
    header: names.signature,
    algorithm: "sha256",
    encoding: "base64",
    secrets: options.secrets,
    deriveKey: standardKey,
    toleranceMs: options.toleranceMs,
    read: standardReader(names, "v1"),
  });
}

/**
 * Signs with every valid secret, in their order, so that receivers may change over at any time of a rotation.
 */
export function prepareStandardSigner({ secrets }: SignOptions): Signer {
  const keyring = prepareKeyring(secrets, (value) => keyedHash("sha256", standardKey(value), "base64"));
  return ({ id, timestamp, body, now }) => {
    const signed = [`${id}.${timestamp}.`, body];
    const signatures = signingKeys(keyring, now).map((hash) => `v1,${hash(signed)}`);
    return [
      [WEBHOOK_HEADERS.id, id],
      [WEBHOOK_HEADERS.timestamp, String(timestamp)],
      [WEBHOOK_HEADERS.signature, signatures.join(" ")],
    ];
  };
}

const PREFIX = "whsec_";
const PADDED = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)$/;
const UNPADDED = /^(?:[A-Za-z0-9+/]{4})*[A-Za-z0-9+/]{2,3}$/;

/**
 * The key is what the base64 after "whsec_" decodes to. A secret without the prefix is read the same way when
 * it is padded base64, as the official libraries do, and else taken as UTF-8 text. Throws `invalid_request`
 * for a prefixed secret that is no base64, which would never match anything.
 */
function standardKey(secret: string): Uint8Array {
  if (!secret.startsWith(PREFIX)) return Buffer.from(secret, PADDED.test(secret) ? "base64" : "utf8");
  const text = secret.slice(PREFIX.length);
  if (PADDED.test(text) || UNPADDED.test(text)) return Buffer.from(text, "base64");
  throw new AppError("invalid_request", "A secret that starts with whsec_ must go on in base64.");
}
