/**
 * Signatures, inbound and outbound: the table of schemes. A new scheme is one file and one line in a table;
 * the parameter types follow from it. Everything here is pure: the clock comes in as `now`.
 */

import { AppError } from "../errors.ts";
import { prepareBasic } from "./basic.ts";
import { prepareCustomSigner } from "./custom.ts";
import { prepareDiscord } from "./discord.ts";
import { prepareGithub, prepareGithubSigner } from "./github.ts";
import { prepareGitlab } from "./gitlab.ts";
import { prepareHmac } from "./hmac.ts";
import { prepareHookbridge, prepareHookbridgeSigner } from "./hookbridge.ts";
import { prepareHookbridgeInbound } from "./hookbridge-inbound.ts";
import { prepareLinear } from "./linear.ts";
import { prepareNone } from "./none.ts";
import { preparePaddle } from "./paddle.ts";
import { preparePingbackSigner } from "./pingback.ts";
import { preparePosthook, preparePosthookSigner } from "./posthook.ts";
import { preparePyfly, preparePyflySigner } from "./pyfly.ts";
import { ACCEPTED } from "./refusal.ts";
import { prepareShopify } from "./shopify.ts";
import { prepareSlack } from "./slack.ts";
import { prepareSquare } from "./square.ts";
import { prepareStandard, prepareStandardSigner } from "./standard.ts";
import { prepareStandardEd25519, prepareStandardEd25519Signer, publicKeyOf } from "./standard-ed25519.ts";
import { WEBHOOK_HEADERS } from "./standard-headers.ts";
import { prepareStripe, prepareStripeSigner } from "./stripe.ts";
import { prepareSvix } from "./svix.ts";
import { prepareToken } from "./token.ts";
import { prepareTwilio } from "./twilio.ts";
import type { SignatureHeader, SignedRequest, Signer, SignInput, Verifier, VerifyResult } from "./types.ts";
import { prepareZoom } from "./zoom.ts";

export type * from "./types.ts";

const VERIFIERS = {
  none: prepareNone,
  token: prepareToken,
  basic: prepareBasic,
  hmac: prepareHmac,
  standard: prepareStandard,
  "standard-ed25519": prepareStandardEd25519,
  stripe: prepareStripe,
  github: prepareGithub,
  gitlab: prepareGitlab,
  shopify: prepareShopify,
  slack: prepareSlack,
  twilio: prepareTwilio,
  paddle: preparePaddle,
  linear: prepareLinear,
  discord: prepareDiscord,
  zoom: prepareZoom,
  square: prepareSquare,
  svix: prepareSvix,
  hookbridge: prepareHookbridge,
  "hookbridge-inbound": prepareHookbridgeInbound,
  posthook: preparePosthook,
  pyfly: preparePyfly,
};

const SIGNERS = {
  standard: prepareStandardSigner,
  "standard-ed25519": prepareStandardEd25519Signer,
  hookbridge: prepareHookbridgeSigner,
  posthook: preparePosthookSigner,
  pingback: preparePingbackSigner,
  pyfly: preparePyflySigner,
  github: prepareGithubSigner,
  stripe: prepareStripeSigner,
  custom: prepareCustomSigner,
};

type VerifierTable = typeof VERIFIERS;
type SignerTable = typeof SIGNERS;

type VerifyScheme = keyof VerifierTable;
type SignScheme = keyof SignerTable;

/** A scheme and its parameters. Treat it as frozen: prepared keys are remembered under its identity. */
export type VerifySpec = {
  [Scheme in VerifyScheme]: { readonly scheme: Scheme } & Parameters<VerifierTable[Scheme]>[0];
}[VerifyScheme];

/** As VerifySpec, for what we send. */
export type SignSpec = {
  [Scheme in SignScheme]: { readonly scheme: Scheme } & Parameters<SignerTable[Scheme]>[0];
}[SignScheme];

/**
 * Derives the keys of a spec once and returns its check, for the hot path. Throws `invalid_request` when the
 * spec cannot work (no secret, an empty one, an impossible header name or template).
 */
export function prepareVerify(spec: VerifySpec): Verifier {
  // The table pairs each scheme with the function for its own parameters; the types cannot follow that.
  const prepare = VERIFIERS[spec.scheme] as (spec: VerifySpec) => Verifier;
  return prepare(spec);
}

/**
 * Prepares several specs that must all pass; the first refusal is the answer. Throws as prepareVerify does,
 * and for an empty list, which would admit everything.
 */
export function prepareVerifyAll(specs: readonly VerifySpec[]): Verifier {
  if (specs.length === 0) throw new AppError("invalid_request", "At least one verification is needed.");
  const verifiers = specs.map(prepareVerify);
  return (request, now) => {
    for (const verifier of verifiers) {
      const result = verifier(request, now);
      if (!result.ok) return result;
    }
    return ACCEPTED;
  };
}

const verifiers = new WeakMap<VerifySpec, Verifier>();
const signers = new WeakMap<SignSpec, Signer>();

/**
 * Judges a request, `now` being the machine's time in epoch milliseconds. Throws for a spec that cannot work
 * (see prepareVerify), never for anything in the request.
 */
export function verify(spec: VerifySpec, request: SignedRequest, now: number): VerifyResult {
  let verifier = verifiers.get(spec);
  if (verifier === undefined) {
    verifier = prepareVerify(spec);
    verifiers.set(spec, verifier);
  }
  return verifier(request, now);
}

/**
 * Returns the headers that sign one attempt, in a stable order. The first call for a spec derives its keys,
 * and throws `invalid_request` for a spec that cannot work.
 */
export function signHeaders(spec: SignSpec, input: SignInput): SignatureHeader[] {
  let signer = signers.get(spec);
  if (signer === undefined) {
    signer = prepareSign(spec);
    signers.set(spec, signer);
  }
  return signer(input);
}

/** Derives the keys of a spec. Throws `invalid_request` when it cannot work. */
export function prepareSign(spec: SignSpec): Signer {
  const prepare = SIGNERS[spec.scheme] as (spec: SignSpec) => Signer;
  return prepare(spec);
}

/**
 * Signs under several schemes at once. Signatures of both kinds of Standard Webhooks share one header, as the
 * standard foresees; of any other header that two schemes set, the later one's stays.
 */
export function signAll(specs: readonly SignSpec[], input: SignInput): SignatureHeader[] {
  const [first, ...others] = specs;
  if (first === undefined) return [];
  const headers = signHeaders(first, input);
  for (const spec of others) {
    for (const [name, value] of signHeaders(spec, input)) {
      const place = headers.findIndex(([known]) => known.toLowerCase() === name.toLowerCase());
      const known = headers[place];
      if (known === undefined) headers.push([name, value]);
      else if (name === WEBHOOK_HEADERS.signature) headers[place] = [name, `${known[1]} ${value}`];
      else headers[place] = [name, value];
    }
  }
  return headers;
}

/** Returns the public keys that receivers need, `whpk_`, in the order of the secrets of standard-ed25519. */
export function publicKeysOf(specs: readonly SignSpec[]): string[] {
  return specs.flatMap((spec) =>
    spec.scheme === "standard-ed25519" ? spec.secrets.map(({ value }) => publicKeyOf(value)) : [],
  );
}
