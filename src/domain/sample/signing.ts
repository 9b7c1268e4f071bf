/**
 * Signs a sample so that a source's own rule accepts it, as the provider would: the other side of the table
 * of verifications. Written apart from it, from the same documents, so that the tests of one check the other.
 */
import { type Secret, type SignatureHeader, signHeaders, type VerifySpec } from "../signature/index.ts";
import {
  type DigestEncoding,
  type HmacAlgorithm,
  keyedHash,
  type SignedParts,
} from "../signature/keyed-hash.ts";
import { parseTemplate } from "../signature/template.ts";

export interface SampleRequest {
  readonly id: string;
  /** Epoch milliseconds. */
  readonly now: number;
  /** As it will be called, the query included. */
  readonly url: string;
  readonly body: Uint8Array;
  /** The fields of the body, when it is a form. */
  readonly form: Readonly<Record<string, string>> | null;
}

export interface SampleSignature {
  readonly headers: readonly SignatureHeader[];
  /** A parameter that has to be added to the query. */
  readonly query?: readonly [name: string, value: string];
}

type Spec<Scheme extends VerifySpec["scheme"]> = Extract<VerifySpec, { readonly scheme: Scheme }>;

interface Signing extends SampleRequest {
  readonly secret: string;
  /** Unix seconds. */
  readonly time: string;
}

/** Null for what cannot be signed like that. */
type SampleSigner<Scheme extends VerifySpec["scheme"]> = (
  signing: Signing,
  spec: Spec<Scheme>,
) => SampleSignature | null;

/** Schemes that are not here have public keys: whoever has only those cannot sign. */
const SIGNERS: { readonly [Scheme in VerifySpec["scheme"]]?: SampleSigner<Scheme> } = {
  token: ({ secret }, { header, query = "" }) =>
    header === undefined ? { headers: [], query: [query, secret] } : withHeaders([header, secret]),
  basic: ({ secret }, { username }) =>
    withHeaders(["Authorization", `Basic ${Buffer.from(`${username}:${secret}`).toString("base64")}`]),
  hmac: signHmac,
  standard: (signing) => ({ headers: signStandard(signing) }),
  svix: (signing) => ({
    headers: signStandard(signing).map(([name, value]) => [name.replace("webhook-", "svix-"), value]),
  }),
  stripe: (signing) => {
    const signature = hex(signing, [signing.time, ".", signing.body]);
    return withHeaders(["Stripe-Signature", `t=${signing.time},v1=${signature}`]);
  },
  github: (signing) => withHeaders(["X-Hub-Signature-256", `sha256=${hex(signing, [signing.body])}`]),
  gitlab: ({ secret }) => withHeaders(["X-Gitlab-Token", secret]),
  shopify: (signing) => withHeaders(["X-Shopify-Hmac-Sha256", digest(signing, [signing.body], BASE64)]),
  slack: (signing) => {
    const signature = hex(signing, ["v0:", signing.time, ":", signing.body]);
    return withHeaders(["X-Slack-Request-Timestamp", signing.time], ["X-Slack-Signature", `v0=${signature}`]);
  },
  twilio: signTwilio,
  paddle: (signing) => {
    const signature = hex(signing, [signing.time, ":", signing.body]);
    return withHeaders(["Paddle-Signature", `ts=${signing.time};h1=${signature}`]);
  },
  linear: (signing) => {
    // The time that Linear signs is a field of its bodies, so that no other body passes.
    const isTimed = Buffer.from(signing.body).includes('"webhookTimestamp":');
    return isTimed ? withHeaders(["Linear-Signature", hex(signing, [signing.body])]) : null;
  },
  zoom: (signing) => {
    const signature = hex(signing, ["v0:", signing.time, ":", signing.body]);
    return withHeaders(["x-zm-request-timestamp", signing.time], ["x-zm-signature", `v0=${signature}`]);
  },
  square: (signing, { publicUrl = signing.url }) =>
    withHeaders(["x-square-hmacsha256-signature", digest(signing, [publicUrl, signing.body], BASE64)]),
  hookbridge: (signing) => {
    const signature = hex(signing, [signing.time, ".", signing.body]);
    return withHeaders(["X-Webhook-Timestamp", signing.time], ["X-Webhook-Signature", `sha256=${signature}`]);
  },
  "hookbridge-inbound": (signing, { header, timestampHeader }) => {
    const signature = hex(signing, [signing.body]);
    return timestampHeader === undefined || timestampHeader.toLowerCase() === header.toLowerCase()
      ? withHeaders([header, `t=${signing.time},sha256=${signature}`])
      : withHeaders([timestampHeader, signing.time], [header, `sha256=${signature}`]);
  },
  posthook: (signing) => {
    const signature = hex(signing, [signing.time, ".", signing.body]);
    return withHeaders(["Posthook-Timestamp", signing.time], ["Posthook-Signature", `v1,${signature}`]);
  },
  pyfly: (signing) => withHeaders(["X-Signature", `sha256=${hex(signing, [signing.body])}`]),
};

/**
 * Returns what makes a request pass a rule, or null when it cannot be signed for that rule. Throws
 * `invalid_request` for a rule that cannot work.
 */
export function signSample(spec: VerifySpec, request: SampleRequest): SampleSignature | null {
  if (spec.scheme === "none") return { headers: [] };
  const secret = firstValid(spec.secrets, request.now);
  // The table pairs each scheme with the signer for its own parameters; the types cannot follow that.
  const sign = SIGNERS[spec.scheme] as
    | ((signing: Signing, spec: VerifySpec) => SampleSignature | null)
    | undefined;
  if (sign === undefined || secret === null) return null;
  return sign({ ...request, secret, time: String(Math.floor(request.now / 1_000)) }, spec);
}

function firstValid(secrets: readonly Secret[], now: number): string | null {
  const valid = secrets.find(({ until }) => until === undefined || until >= now);
  return valid?.value ?? secrets[0]?.value ?? null;
}

function withHeaders(...headers: SignatureHeader[]): SampleSignature {
  return { headers };
}

interface DigestForm {
  readonly algorithm: HmacAlgorithm;
  readonly encoding: DigestEncoding;
}

const HEX: DigestForm = { algorithm: "sha256", encoding: "hex" };
const BASE64: DigestForm = { algorithm: "sha256", encoding: "base64" };

function digest({ secret }: Signing, parts: SignedParts, { algorithm, encoding }: DigestForm): string {
  return keyedHash(algorithm, secret, encoding)(parts);
}

function hex(signing: Signing, parts: SignedParts): string {
  return digest(signing, parts, HEX);
}

function signHmac(signing: Signing, spec: Spec<"hmac">): SampleSignature {
  const {
    header,
    prefix = "",
    template = "{body}",
    timestampHeader,
    idHeader,
    publicUrl = signing.url,
  } = spec;
  const { time, id, body } = signing;
  const parts = parseTemplate(template).fill({
    timestamp: timestampHeader === undefined ? "" : time,
    id: idHeader === undefined ? "" : id,
    url: publicUrl,
    body,
  });
  const headers: SignatureHeader[] = [[header, prefix + digest(signing, parts, spec)]];
  if (timestampHeader !== undefined) headers.push([timestampHeader, time]);
  if (idHeader !== undefined) headers.push([idHeader, id]);
  return { headers };
}

function signStandard({ secret, id, time, body, now }: Signing): SignatureHeader[] {
  const spec = { scheme: "standard", secrets: [{ value: secret }] } as const;
  return signHeaders(spec, { id, timestamp: Number(time), body, now });
}

/** Null for a body that is no form: Twilio has its hash in the URL, which is not ours to change. */
function signTwilio(signing: Signing, { publicUrl = signing.url }: Spec<"twilio">): SampleSignature | null {
  if (signing.form === null) return null;
  const query = signing.url.indexOf("?");
  const url = publicUrl.includes("?") || query === -1 ? publicUrl : publicUrl + signing.url.slice(query);
  const fields = Object.entries(signing.form).sort(([left], [right]) => (left < right ? -1 : 1));
  const parts = [url, ...fields.flat()];
  return withHeaders([
    "X-Twilio-Signature",
    digest(signing, parts, { algorithm: "sha1", encoding: "base64" }),
  ]);
}
