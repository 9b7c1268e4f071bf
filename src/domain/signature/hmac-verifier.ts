/** Verification by HMAC: the signature is made again with each secret and compared. */

import { type Claim, type ClaimReader, claimVerifier } from "./claim-verifier.ts";
import {
  type DigestEncoding,
  digestPattern,
  type HmacAlgorithm,
  type KeyedHash,
  keyedHash,
} from "./keyed-hash.ts";
import { equalText, prepareKeyring } from "./keyring.ts";
import type { Secret, Verifier } from "./types.ts";

export interface HmacVerifierOptions {
  /** The header that carries the signature; named in refusals. */
  readonly header: string;
  readonly algorithm: HmacAlgorithm;
  readonly encoding: DigestEncoding;
  readonly secrets: readonly Secret[];
  /** From the secret as written to the key; the UTF-8 bytes of the text when omitted. */
  readonly deriveKey?: (secret: string) => string | Uint8Array;
  readonly toleranceMs?: number | undefined;
  readonly read: ClaimReader;
}

/** Derives the keys and returns the check; see claimVerifier for its verdicts. */
export function hmacVerifier(options: HmacVerifierOptions): Verifier {
  const { header, algorithm, encoding, read, toleranceMs } = options;
  const derive = options.deriveKey ?? ((secret: string) => secret);
  const keyring = prepareKeyring(options.secrets, (value) => keyedHash(algorithm, derive(value), encoding));
  const wellFormed = digestPattern(algorithm, encoding);
  const kind = `${algorithm} signature in ${encoding}`;
  return claimVerifier({ header, keyring, read, wellFormed, kind, matches, toleranceMs });
}

function matches(hash: KeyedHash, { signed, alsoSigned = [], signatures }: Claim): boolean {
  let equal = false;
  for (const text of [signed, ...alsoSigned]) {
    const expected = hash(text);
    for (const signature of signatures) {
      if (equalText(expected, signature)) equal = true;
    }
  }
  return equal;
}
