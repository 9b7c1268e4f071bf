/** The steps that all HMAC schemes share; a scheme only says how to read its headers. */

import {
  type DigestEncoding,
  digestPattern,
  type HmacAlgorithm,
  keyedHash,
  type SignedParts,
} from "./keyed-hash.ts";
import { equalText, matchKeyring, prepareKeyring } from "./keyring.ts";
import { ACCEPTED, malformedSignature, signatureMismatch } from "./refusal.ts";
import { refuseStale, type SignedTime, TOLERANCE_DEFAULT_MS } from "./timestamp.ts";
import type { Refusal, Secret, SignedRequest, Verifier } from "./types.ts";

/** What a request claims: these signatures, over these bytes, made at this time. */
export interface HmacClaim {
  readonly ok: true;
  readonly signatures: readonly string[];
  readonly signed: SignedParts;
  readonly time?: SignedTime;
}

export interface HmacVerifierOptions {
  /** The header that carries the signature; named in refusals. */
  readonly header: string;
  readonly algorithm: HmacAlgorithm;
  readonly encoding: DigestEncoding;
  readonly secrets: readonly Secret[];
  /** From the secret as written to the key; the UTF-8 bytes of the text when omitted. */
  readonly deriveKey?: (secret: string) => string | Uint8Array;
  readonly toleranceMs?: number | undefined;
  /** Must not throw, whatever the request holds. */
  readonly read: (request: SignedRequest) => HmacClaim | Refusal;
}

/**
 * Returns a verifier that accepts when any well-formed signature matches under any valid secret and the time is
 * fresh. The signature is checked before the time: "out of tolerance" then means that the right sender signed, and
 * that either its clock is off or the request was replayed.
 */
export function hmacVerifier(options: HmacVerifierOptions): Verifier {
  const { header, algorithm, encoding, read } = options;
  const derive = options.deriveKey ?? ((secret: string) => secret);
  const keyring = prepareKeyring(options.secrets, (value) => keyedHash(algorithm, derive(value), encoding));
  const wellFormed = digestPattern(algorithm, encoding);
  const toleranceMs = options.toleranceMs ?? TOLERANCE_DEFAULT_MS;
  return (request, now) => {
    const claim = read(request);
    if (!claim.ok) return claim;
    const signatures = claim.signatures.filter((signature) => wellFormed.test(signature));
    if (signatures.length === 0)
      return malformedSignature(header, `holds no ${algorithm} signature in ${encoding}`);
    const match = matchKeyring(keyring, now, (hash) => {
      const expected = hash(claim.signed);
      let equal = false;
      for (const signature of signatures) {
        if (equalText(expected, signature)) equal = true;
      }
      return equal;
    });
    if (!match.ok) return signatureMismatch(header, match.oldSecretUntil);
    return (claim.time && refuseStale(claim.time, now, toleranceMs)) ?? ACCEPTED;
  };
}
