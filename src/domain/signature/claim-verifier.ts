/** The steps that all signing schemes share; a scheme only says how to read its headers and compare. */

import type { SignedParts } from "./keyed-hash.ts";
import { type Keyring, matchKeyring } from "./keyring.ts";
import { ACCEPTED, malformedSignature, signatureMismatch } from "./refusal.ts";
import { refuseStale, type SignedTime, TOLERANCE_DEFAULT_MS } from "./timestamp.ts";
import type { Refusal, SignedRequest, Verifier } from "./types.ts";

/** What a request claims: these signatures, over these bytes, made at this time. */
export interface Claim {
  readonly ok: true;
  readonly signatures: readonly string[];
  readonly signed: SignedParts;
  /** What may have been signed in its place, where a provider's own spelling cannot be known. */
  readonly alsoSigned?: readonly SignedParts[];
  readonly time?: SignedTime;
}

/** Reads a scheme's headers. Must not throw, whatever the request holds. */
export type ClaimReader = (request: SignedRequest) => Claim | Refusal;

export interface ClaimVerifierOptions<Key> {
  /** The header that carries the signature; named in refusals. */
  readonly header: string;
  readonly keyring: Keyring<Key>;
  readonly read: ClaimReader;
  /** What a signature must look like to be looked at. */
  readonly wellFormed: RegExp;
  /** Completes "Header X holds no ...". */
  readonly kind: string;
  /**
   * Whether any of the signatures belongs to the key. Where the key is secret, the time must not tell which.
   */
  readonly matches: (key: Key, claim: Claim) => boolean;
  readonly toleranceMs?: number | undefined;
}

/** A rotation needs two. The bound keeps a header full of made-up signatures from costing much. */
const SIGNATURES_MAX = 16;

/**
 * Returns a verifier that accepts when any well-formed signature matches under any valid secret and the time
 * is fresh. The signature is checked before the time: "out of tolerance" then means that the right sender
 * signed, and that either its clock is off or the request was replayed.
 */
export function claimVerifier<Key>(options: ClaimVerifierOptions<Key>): Verifier {
  const { header, keyring, read, wellFormed, kind, matches } = options;
  const toleranceMs = options.toleranceMs ?? TOLERANCE_DEFAULT_MS;
  return (request, now) => {
    const claim = read(request);
    if (!claim.ok) return claim;
    const signatures = claim.signatures.filter((signature) => wellFormed.test(signature));
    if (signatures.length === 0) return malformedSignature(header, `holds no ${kind}`);
    const bounded: Claim = { ...claim, signatures: signatures.slice(0, SIGNATURES_MAX) };
    const match = matchKeyring(keyring, now, (key) => matches(key, bounded));
    if (!match.ok) return signatureMismatch(header, match.oldSecretUntil);
    return (claim.time && refuseStale(claim.time, now, toleranceMs)) ?? ACCEPTED;
  };
}
