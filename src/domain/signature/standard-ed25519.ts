/** Standard Webhooks, asymmetric (v1a): https://github.com/standard-webhooks/standard-webhooks, spec. */

import { createPrivateKey, createPublicKey, type KeyObject, sign } from "node:crypto";
import { AppError } from "../errors.ts";
import { ed25519Verifier } from "./ed25519-verifier.ts";
import { type SignOptions, signingKeys } from "./hmac-signer.ts";
import { prepareKeyring } from "./keyring.ts";
import { standardReader, WEBHOOK_HEADERS } from "./standard-headers.ts";
import type { PresetOptions, Signer, Verifier } from "./types.ts";

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

const PRIVATE_PREFIX = "whsk_";
const SEED_BYTES = 32;
/** RFC 8410 section 7: what stands before the 32 bytes of an Ed25519 private key in PKCS #8. */
const PKCS8_HEAD = Buffer.from("302e020100300506032b657004220420", "hex");

/**
 * The secrets are private keys: `whsk_` and the base64 of a seed of 32 bytes, or of seed and public key (64),
 * which is how other implementations write them. Receivers hold the public halves, see publicKeyOf.
 */
export function prepareStandardEd25519Signer({ secrets }: SignOptions): Signer {
  const keyring = prepareKeyring(secrets, importPrivateKey);
  return ({ id, timestamp, body, now }) => {
    // Ed25519 passes over its input twice, so that it wants the bytes in one piece.
    const signed = Buffer.concat([Buffer.from(`${id}.${timestamp}.`), body]);
    const signatures = signingKeys(keyring, now).map(
      (key) => `v1a,${sign(null, signed, key).toString("base64")}`,
    );
    return [
      [WEBHOOK_HEADERS.id, id],
      [WEBHOOK_HEADERS.timestamp, String(timestamp)],
      [WEBHOOK_HEADERS.signature, signatures.join(" ")],
    ];
  };
}

/** Returns the `whpk_` of a private key: what its receivers verify with. Throws `invalid_request`. */
export function publicKeyOf(privateKey: string): string {
  const { x = "" } = createPublicKey(importPrivateKey(privateKey)).export({ format: "jwk" });
  return PREFIX + Buffer.from(x, "base64url").toString("base64");
}

function importPrivateKey(text: string): KeyObject {
  const bytes = Buffer.from(
    text.startsWith(PRIVATE_PREFIX) ? text.slice(PRIVATE_PREFIX.length) : text,
    "base64",
  );
  if (bytes.length !== SEED_BYTES && bytes.length !== 2 * SEED_BYTES) {
    throw new AppError(
      "invalid_request",
      `An Ed25519 private key is whsk_ and the base64 of 32 or 64 bytes, not of ${bytes.length}.`,
    );
  }
  const der = Buffer.concat([PKCS8_HEAD, bytes.subarray(0, SEED_BYTES)]);
  const key = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  if (bytes.length === SEED_BYTES) return key;
  const { x = "" } = createPublicKey(key).export({ format: "jwk" });
  // A public half of another key would be shown to receivers that then refuse everything.
  if (bytes.subarray(SEED_BYTES).equals(Buffer.from(x, "base64url"))) return key;
  throw new AppError("invalid_request", "The two halves of the Ed25519 key do not belong together.");
}
