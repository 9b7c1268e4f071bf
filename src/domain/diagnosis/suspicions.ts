/**
 * The table of what may be wrong with a refused request, the likely and the cheap first. A new suspicion is
 * one entry: which refusals it may explain, and the trials that show it.
 */
import type { Secret, SignedRequest, VerifySpec } from "../signature/index.ts";
import { bodyChanges, jsonBodies } from "./bodies.ts";
import { otherSignatures, otherTokens } from "./credentials.ts";
import { decodedSecrets, respelledSecrets } from "./secrets.ts";
import type { Finding, Suspect, Suspicion, Trial } from "./types.ts";
import { otherUrls } from "./urls.ts";

const MISMATCH = ["signature_mismatch"] as const;
const NO_SIGNATURE = ["missing_signature", "malformed_signature"] as const;

export const SUSPICIONS: readonly Suspicion[] = [
  { reasons: ["signature_mismatch", "token_mismatch"], trials: respelledSecrets },
  { reasons: ["malformed_signature"], trials: otherSignatures },
  { reasons: ["token_mismatch"], trials: otherTokens },
  { reasons: MISMATCH, trials: decodedSecrets },
  { reasons: MISMATCH, trials: otherUrls },
  { reasons: [...NO_SIGNATURE, "signature_mismatch"], trials: otherHmacs },
  {
    reasons: [...NO_SIGNATURE, "signature_mismatch", "missing_token", "token_mismatch"],
    trials: otherSchemes,
  },
  { reasons: MISMATCH, trials: bodyChanges },
  { reasons: MISMATCH, trials: jsonBodies },
];

type HeaderScheme = Exclude<VerifySpec["scheme"], "none" | "token" | "basic" | "hmac" | "hookbridge-inbound">;

/** The header by which a request of each scheme is known. */
const SCHEME_HEADERS: readonly (readonly [HeaderScheme, string])[] = [
  ["stripe", "Stripe-Signature"],
  ["github", "X-Hub-Signature-256"],
  ["gitlab", "X-Gitlab-Token"],
  ["shopify", "X-Shopify-Hmac-Sha256"],
  ["slack", "X-Slack-Signature"],
  ["twilio", "X-Twilio-Signature"],
  ["paddle", "Paddle-Signature"],
  ["linear", "Linear-Signature"],
  ["discord", "X-Signature-Ed25519"],
  ["zoom", "x-zm-signature"],
  ["square", "x-square-hmacsha256-signature"],
  ["svix", "svix-signature"],
  ["standard", "webhook-signature"],
  ["hookbridge", "X-Webhook-Signature"],
  ["posthook", "Posthook-Signature"],
  ["pyfly", "X-Signature"],
];

/** Headers under which home-made senders put their signature. */
const COMMON_HEADERS = [
  "X-Signature",
  "X-Signature-256",
  "X-Signature-SHA256",
  "X-Hub-Signature-256",
  "X-Hub-Signature",
  "X-Webhook-Signature",
  "X-Webhook-Signature-256",
  "X-Hmac-Signature",
  "X-Hmac-SHA256",
  "X-HMAC",
  "Signature",
  "Webhook-Signature",
] as const;

const COMMON_TEMPLATES = [
  "{body}",
  "{timestamp}.{body}",
  "{timestamp}{body}",
  "{timestamp}:{body}",
  "v0:{timestamp}:{body}",
  "{id}.{timestamp}.{body}",
  "{body}{timestamp}",
  "{url}{body}",
] as const;

const ALGORITHMS = ["sha1", "sha256", "sha512"] as const;

/** The request fits another scheme, under the secrets that are configured here. */
function* otherSchemes({ spec, secrets, request }: Suspect): Iterable<Trial> {
  for (const [scheme, header] of SCHEME_HEADERS) {
    if (scheme === spec.scheme || request.headers.get(header) === null) continue;
    yield {
      spec: presetSpec(scheme, secrets, spec),
      request,
      finding: explainScheme(scheme, { header, isVerified: true }),
    };
  }
}

/** Returns the finding that a request carries a signature where its source does not look, or null. */
export function findForeignHeader({ spec, request, refusal }: Suspect): Finding | null {
  const common: ReadonlySet<string> = new Set(COMMON_HEADERS);
  for (const [scheme, header] of SCHEME_HEADERS) {
    // A header that anybody may use tells nothing about the scheme.
    if (scheme === spec.scheme || common.has(header) || !request.headers.get(header)) continue;
    return explainScheme(scheme, { header, isVerified: false });
  }
  for (const header of COMMON_HEADERS) {
    if (header === refusal.diagnosis?.field || !request.headers.get(header)) continue;
    const sentence = `The request carries ${header}, which this source does not read: maybe the signature.`;
    return { code: "other_header", sentence, header, isVerified: false };
  }
  return null;
}

function explainScheme(
  scheme: HeaderScheme,
  facts: { readonly header: string; readonly isVerified: boolean },
): Finding {
  const sentence = facts.isVerified
    ? `The request passes under scheme "${scheme}" with the secret configured here: use that scheme.`
    : `The request carries ${facts.header}, which belongs to scheme "${scheme}"; this source uses another.`;
  return { code: "other_scheme", sentence, scheme, ...facts };
}

function presetSpec(scheme: HeaderScheme, secrets: readonly Secret[], spec: VerifySpec): VerifySpec {
  const publicUrl = "publicUrl" in spec ? spec.publicUrl : undefined;
  return { scheme, secrets, ...(publicUrl === undefined ? {} : { publicUrl }) };
}

/** The options of a home-made scheme differ from what the sender does in one point. */
function* otherHmacs({ spec, secrets, request, refusal }: Suspect): Iterable<Trial> {
  if (spec.scheme !== "hmac") return;
  const base = { ...spec, secrets };
  if (refusal.reason === "missing_signature") yield* otherHeaders(base, request);
  else if (refusal.reason === "malformed_signature") yield* otherAlgorithms(base, request);
  else yield* otherTemplates(base, request);
}

type HmacSpec = Extract<VerifySpec, { readonly scheme: "hmac" }>;

function* otherHeaders(spec: HmacSpec, request: SignedRequest): Iterable<Trial> {
  for (const header of COMMON_HEADERS) {
    if (request.headers.get(header) === null) continue;
    const sentence = `The signature is right, but it comes in ${header} and not in ${spec.header}.`;
    yield {
      spec: { ...spec, header },
      request,
      finding: { code: "other_header", sentence, header, isVerified: true },
    };
  }
}

function* otherAlgorithms(spec: HmacSpec, request: SignedRequest): Iterable<Trial> {
  for (const algorithm of ALGORITHMS) {
    if (algorithm === spec.algorithm) continue;
    const sentence = `The signature is right, but made with ${algorithm} and not with ${spec.algorithm}.`;
    const finding: Finding = { code: "other_algorithm", sentence, algorithm };
    // Senders name the algorithm in the prefix.
    const prefix = spec.prefix?.replace(spec.algorithm, algorithm);
    yield { spec: { ...spec, algorithm, ...(prefix === undefined ? {} : { prefix }) }, request, finding };
  }
}

function* otherTemplates(spec: HmacSpec, request: SignedRequest): Iterable<Trial> {
  for (const template of COMMON_TEMPLATES) {
    if (template === (spec.template ?? "{body}")) continue;
    const sentence = `The signature covers "${template}" and not "${spec.template ?? "{body}"}".`;
    // A template whose placeholder has no source cannot be prepared, which ends its trial.
    yield { spec: { ...spec, template }, request, finding: { code: "other_template", sentence, template } };
  }
}
