/** Verification with Ed25519 public keys (RFC 8032): what is configured here cannot sign, only verify. */

import { createPublicKey, type KeyObject, verify } from "node:crypto";
import { AppError } from "../errors.ts";
import { type Claim, type ClaimReader, claimVerifier } from "./claim-verifier.ts";
import { prepareKeyring } from "./keyring.ts";
import type { Secret, Verifier } from "./types.ts";

export interface Ed25519VerifierOptions {
  /** The header that carries the signature; named in refusals. */
  readonly header: string;
  readonly encoding: "hex" | "base64";
  /** The public keys. */
  readonly secrets: readonly Secret[];
  /** From the key as written to its 32 bytes. */
  readonly deriveKey: (secret: string) => Uint8Array;
  readonly toleranceMs?: number | undefined;
  readonly read: ClaimReader;
}

const PUBLIC_KEY_BYTES = 32;

/** 64 bytes in lower-case hex, or in base64 whose four unused bits are zero: one signature, one form. */
const WELL_FORMED = { hex: /^[0-9a-f]{128}$/, base64: /^[A-Za-z0-9+/]{85}[AQgw]==$/ } as const;

/** Imports the keys and returns the check. Throws `invalid_request` for a key that is not 32 bytes long. */
export function ed25519Verifier(options: Ed25519VerifierOptions): Verifier {
  const { header, encoding, secrets, deriveKey, toleranceMs, read } = options;
  return claimVerifier<KeyObject>({
    header,
    keyring: prepareKeyring(secrets, (value) => importKey(deriveKey(value))),
    read,
    wellFormed: WELL_FORMED[encoding],
    kind: `Ed25519 signature in ${encoding}`,
    matches: (key, claim) => matches(key, claim, encoding),
    toleranceMs,
  });
}

function matches(key: KeyObject, { signed, signatures }: Claim, encoding: "hex" | "base64"): boolean {
  // Ed25519 passes over its input twice, so that it wants the bytes in one piece.
  const text = Buffer.concat(signed.map((part) => (typeof part === "string" ? Buffer.from(part) : part)));
  return signatures.some((signature) => verify(null, text, key, Buffer.from(signature, encoding)));
}

function importKey(bytes: Uint8Array): KeyObject {
  if (bytes.length !== PUBLIC_KEY_BYTES) {
    throw new AppError("invalid_request", `An Ed25519 public key has 32 bytes, not ${bytes.length}.`);
  }
  // RFC 8037 section 2: the JWK form of a bare public key.
  const x = Buffer.from(bytes).toString("base64url");
  return createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
}
