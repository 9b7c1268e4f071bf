/** Outbound HMAC signatures: which keys sign at an instant, and what their digests become on the wire. */

import { type DigestEncoding, type HmacAlgorithm, keyedHash, type SignedParts } from "./keyed-hash.ts";
import { type Keyring, prepareKeyring, validKeys } from "./keyring.ts";
import type { Secret, SignatureHeader, Signer, SignInput } from "./types.ts";

/** The parameters of every scheme whose form is fixed. */
export interface SignOptions {
  /** The first one is the current one; the others sign along until their date. */
  readonly secrets: readonly Secret[];
}

export interface HmacSignerOptions extends SignOptions {
  readonly algorithm?: HmacAlgorithm;
  readonly encoding?: DigestEncoding;
  /** From the secret as written to the key; its UTF-8 text when omitted. */
  readonly deriveKey?: (secret: string) => string | Uint8Array;
  /** The scheme has room for one signature only: then the first valid key signs alone. */
  readonly isSingle?: boolean;
  readonly signed: (input: SignInput) => SignedParts;
  /** `digests` are in the order of the secrets and never empty. */
  readonly headers: (digests: readonly [string, ...string[]], input: SignInput) => SignatureHeader[];
}

/** Derives the keys and returns the signer. Throws `invalid_request` without a usable secret. */
export function hmacSigner(options: HmacSignerOptions): Signer {
  const { secrets, algorithm = "sha256", encoding = "hex", isSingle = false, signed, headers } = options;
  const deriveKey = options.deriveKey ?? ((secret: string) => secret);
  const keyring = prepareKeyring(secrets, (value) => keyedHash(algorithm, deriveKey(value), encoding));
  return (input) => {
    const keys = signingKeys(keyring, input.now);
    const parts = signed(input);
    const digests = (isSingle ? keys.slice(0, 1) : keys).map((hash) => hash(parts));
    return headers(digests as [string, ...string[]], input);
  };
}

/**
 * The keys that sign at `now`, in the order of the secrets. When all have expired the first one signs all the
 * same: an unsigned delivery would help nobody.
 */
export function signingKeys<Key>(keyring: Keyring<Key>, now: number): Key[] {
  const valid = validKeys(keyring, now);
  return valid.length > 0 ? valid : keyring.slice(0, 1).map((entry) => entry.key);
}

/** What most products sign: the time, a point and the body. */
export function timedBody({ timestamp, body }: SignInput): SignedParts {
  return [`${timestamp}.`, body];
}
