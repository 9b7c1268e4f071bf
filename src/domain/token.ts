/**
 * Tokens: a claim of a few bytes and a proof that we wrote it, as one word for a URL. Nothing is stored for
 * one, so a token can still be told from a forgery when what it speaks of has long been purged. What a claim
 * says, when it expires and whether it may be used twice is for its reader to judge.
 *
 * Layout: claim, then the first 16 bytes of HMAC-SHA256 over purpose, a zero byte and the claim. The purpose
 * keeps a token of one kind from being read as another.
 */
import { equalText } from "./signature/keyring.ts";

const PROOF_BYTES = 16;
const ALPHABET = /^[A-Za-z0-9_-]{24,512}$/;

export interface Tokens {
  issue(purpose: string, claim: Uint8Array): string;
  /** The claim, or null for anything that was not issued for this purpose under this key. */
  read(purpose: string, token: string): Uint8Array | null;
}

export function createTokens(key: Uint8Array): Tokens {
  const keyed = new Bun.CryptoHasher("sha256", key);
  const proofOf = (purpose: string, claim: Uint8Array): Uint8Array =>
    keyed.copy().update(`${purpose}\0`).update(claim).digest().subarray(0, PROOF_BYTES);
  return {
    issue: (purpose, claim) => Buffer.concat([claim, proofOf(purpose, claim)]).toString("base64url"),
    read(purpose, token) {
      if (!ALPHABET.test(token)) return null;
      const bytes = Buffer.from(token, "base64url");
      // The last digit holds bits that mean nothing: one token has one form.
      if (bytes.toString("base64url") !== token) return null;
      const claim = bytes.subarray(0, bytes.length - PROOF_BYTES);
      const given = bytes.toString("hex", claim.length);
      return equalText(given, Buffer.from(proofOf(purpose, claim)).toString("hex")) ? claim : null;
    },
  };
}
