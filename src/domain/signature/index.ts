/**
 * Signatures, inbound and outbound: the table of schemes. A new scheme is one file and one line in a table; the
 * parameter types follow from it. Everything here is pure: the clock comes in as `now`.
 */

import { prepareBasic } from "./basic.ts";
import { prepareGithub } from "./github.ts";
import { prepareHmac } from "./hmac.ts";
import { prepareNone } from "./none.ts";
import { prepareStandard, prepareStandardSigner } from "./standard.ts";
import { prepareStripe } from "./stripe.ts";
import { prepareToken } from "./token.ts";
import type { SignatureHeader, SignedRequest, Signer, SignInput, Verifier, VerifyResult } from "./types.ts";

export type * from "./types.ts";

const VERIFIERS = {
  none: prepareNone,
  token: prepareToken,
  basic: prepareBasic,
  hmac: prepareHmac,
  standard: prepareStandard,
  stripe: prepareStripe,
  github: prepareGithub,
};

const SIGNERS = {
  standard: prepareStandardSigner,
};

type VerifierTable = typeof VERIFIERS;
type SignerTable = typeof SIGNERS;

export type VerifyScheme = keyof VerifierTable;
export type SignScheme = keyof SignerTable;

/** A scheme and its parameters. Treat it as frozen: prepared keys are remembered under its identity. */
export type VerifySpec = {
  [Scheme in VerifyScheme]: { readonly scheme: Scheme } & Parameters<VerifierTable[Scheme]>[0];
}[VerifyScheme];

/** As VerifySpec, for what we send. */
export type SignSpec = {
  [Scheme in SignScheme]: { readonly scheme: Scheme } & Parameters<SignerTable[Scheme]>[0];
}[SignScheme];

export const VERIFY_SCHEMES = Object.freeze(Object.keys(VERIFIERS)) as readonly VerifyScheme[];
export const SIGN_SCHEMES = Object.freeze(Object.keys(SIGNERS)) as readonly SignScheme[];

/**
 * Derives the keys of a spec once and returns its check, for the hot path. Throws `invalid_request` when the spec
 * cannot work (no secret, an empty one, an impossible header name or template).
 */
export function prepareVerify(spec: VerifySpec): Verifier {
  // The table pairs each scheme with the function for its own parameters; the types cannot follow that.
  const prepare = VERIFIERS[spec.scheme] as (spec: VerifySpec) => Verifier;
  return prepare(spec);
}

/** Prepares several specs that must all pass; the first refusal is the answer. Throws as prepareVerify does. */
export function prepareVerifyAll(specs: readonly VerifySpec[]): Verifier {
  const verifiers = specs.map(prepareVerify);
  return (request, now) => {
    for (const verifier of verifiers) {
      const result = verifier(request, now);
      if (!result.ok) return result;
    }
    return { ok: true };
  };
}

/** Derives the keys of a spec once and returns its signer. Throws as prepareVerify does. */
export function prepareSign(spec: SignSpec): Signer {
  const prepare = SIGNERS[spec.scheme] as (spec: SignSpec) => Signer;
  return prepare(spec);
}

const preparedVerifiers = new WeakMap<VerifySpec, Verifier>();
const preparedSigners = new WeakMap<SignSpec, Signer>();

/**
 * Judges a request. Throws for a spec that cannot work (see prepareVerify), never for anything in the request.
 * `now` is the machine's time in epoch milliseconds.
 */
export function verify(spec: VerifySpec, request: SignedRequest, now: number): VerifyResult {
  let verifier = preparedVerifiers.get(spec);
  if (verifier === undefined) {
    verifier = prepareVerify(spec);
    preparedVerifiers.set(spec, verifier);
  }
  return verifier(request, now);
}

/** Returns the headers that sign one attempt, in a stable order. Throws for a spec that cannot work. */
export function signHeaders(spec: SignSpec, input: SignInput): SignatureHeader[] {
  let signer = preparedSigners.get(spec);
  if (signer === undefined) {
    signer = prepareSign(spec);
    preparedSigners.set(spec, signer);
  }
  return signer(input);
}
